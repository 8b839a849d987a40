/** Which dialogs are open, the uppermost last: what is outside of that one can neither be pressed nor heard. */

let open: readonly HTMLDialogElement[] = [];
const listeners = new Set<() => void>();

function publish(next: readonly HTMLDialogElement[]): void {
  open = next;
  listeners.forEach((listener) => listener());
}

/** Call when it has been shown; what is returned, when it is closed. */
export function dialogOpened(dialog: HTMLDialogElement): () => void {
  publish([...open, dialog]);
  return () => publish(open.filter((other) => other !== dialog));
}

export function uppermostDialog(): HTMLDialogElement | null {
  return open.at(-1) ?? null;
}

export function onDialogs(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
