/**
 * When stores tell React that they have changed: once per frame, however many messages came. In a hidden page,
 * which has no frames, once a second.
 */

const HIDDEN_EVERY_MS = 1_000;

const due = new Set<() => void>();
let frame = 0;
let timer = 0;

/** Runs `publish` with the next frame; asked for again before that, still once. */
export function onNextFrame(publish: () => void): void {
  due.add(publish);
  if (frame === 0 && timer === 0) schedule();
}

/**
 * What is called after each message, and runs `publish` with a frame soon: the first time with the next one, then no
 * more often than `everyMs`. Nobody reads sixty trades a second, and drawing them is not for free.
 */
export function paced(publish: () => void, everyMs: number): () => void {
  let isDue = false;
  let lastMs = -Infinity;
  function run(): void {
    isDue = false;
    lastMs = performance.now();
    publish();
  }
  return () => {
    if (isDue) return;
    isDue = true;
    const waitMs = lastMs + everyMs - performance.now();
    if (waitMs > 0) setTimeout(() => onNextFrame(run), waitMs);
    else onNextFrame(run);
  };
}

function schedule(): void {
  if (document.hidden) timer = window.setTimeout(run, HIDDEN_EVERY_MS);
  else frame = requestAnimationFrame(run);
}

function run(): void {
  frame = 0;
  timer = 0;
  const publishers = [...due];
  due.clear();
  for (const publish of publishers) publish();
}

if (typeof document !== "undefined") {
  document.addEventListener("visibilitychange", () => {
    if (frame === 0 && timer === 0) return;
    cancelAnimationFrame(frame); // a frame that was asked for does not come while hidden
    window.clearTimeout(timer);
    frame = 0;
    timer = 0;
    schedule();
  });
}
