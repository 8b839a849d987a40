/** Shown once to who comes for the first time: what is where, in a few steps that can be skipped at any time. */

import { type KeyboardEvent, type ReactElement, useCallback, useEffect, useRef, useState } from "react";

import { Button } from "../ui/button";
import { isTypedIn } from "./shortcuts";
import { type Box, CARD_WIDTH, cardPlace } from "./tour-place";

interface Step {
  /** The data-tour of what it speaks of */
  readonly anchor: string;
  readonly title: string;
  readonly text: string;
}

const STEPS: readonly Step[] = [
  { anchor: "chart", title: "The market, live", text: "Prices move here as people trade. Change the interval above the chart." },
  { anchor: "book", title: "The order book", text: "Everything on offer. Press a price to put it into your order." },
  { anchor: "form", title: "Your order", text: "Choose a side, a price and a size. Fees and the total are shown before you send." },
  { anchor: "start", title: "Start with a wallet of your own", text: "It is made in this browser in under a minute. No extension, no email." },
];

const KEY = "tour";
const BEGIN_AFTER_MS = 1_500;

function isDone(): boolean {
  try {
    return localStorage.getItem(KEY) === "done";
  } catch {
    return true; // what is not remembered would come again and again
  }
}

function remember(): void {
  try {
    localStorage.setItem(KEY, "done");
  } catch {
    // nothing to be done about it
  }
}

function anchorOf(step: Step): HTMLElement | null {
  const element = document.querySelector<HTMLElement>(`[data-tour="${step.anchor}"]`);
  return element !== null && element.getClientRects().length > 0 ? element : null;
}

const beginners = new Set<() => void>();

/** Shows it again, from the settings. */
export function beginTour(): void {
  beginners.forEach((begin) => begin());
}

/** On the trade page only: elsewhere there is nothing that it speaks of. */
export function Tour({ active }: { active: boolean }): ReactElement | null {
  const [steps, setSteps] = useState<readonly Step[]>([]);
  const [at, setAt] = useState(0);

  const begin = useCallback(() => {
    setSteps(STEPS.filter((step) => anchorOf(step) !== null));
    setAt(0);
  }, []);
  useEffect(() => {
    beginners.add(begin);
    return () => {
      beginners.delete(begin);
    };
  }, [begin]);
  useEffect(() => {
    if (!active || isDone()) return;
    // Who types already, or has opened something, is not interrupted.
    const timer = setInterval(() => {
      if (document.hidden || isTypedIn(document.activeElement) || document.querySelector("dialog[open]") !== null) return;
      clearInterval(timer);
      if (!isDone()) begin();
    }, BEGIN_AFTER_MS);
    return () => clearInterval(timer);
  }, [active, begin]);

  const end = useCallback(() => {
    remember();
    setSteps([]);
  }, []);
  const step = steps[at];
  if (!active || step === undefined) return null;
  const onNext = (): void => (at + 1 < steps.length ? setAt(at + 1) : end());
  return (
    <StepCard step={step} at={at} of={steps.length} onBack={() => setAt(at - 1)} onNext={onNext} onEnd={end} />
  );
}

interface StepCardProps {
  step: Step;
  at: number;
  of: number;
  onBack(): void;
  onNext(): void;
  onEnd(): void;
}

function StepCard({ step, at, of, onBack, onNext, onEnd }: StepCardProps): ReactElement | null {
  const [box, setBox] = useState<Box | null>(null);
  const card = useRef<HTMLDivElement>(null);
  const isShown = box !== null;

  useEffect(() => {
    function measure(): void {
      const rect = anchorOf(step)?.getBoundingClientRect();
      if (rect === undefined || document.querySelector("dialog[open]") !== null) return onEnd();
      setBox((old) =>
        old !== null && old.left === rect.left && old.top === rect.top && old.width === rect.width && old.height === rect.height
          ? old
          : { left: rect.left, top: rect.top, width: rect.width, height: rect.height },
      );
    }
    measure();
    const timer = setInterval(measure, 250);
    window.addEventListener("resize", measure);
    window.addEventListener("scroll", measure, true);
    return () => {
      clearInterval(timer);
      window.removeEventListener("resize", measure);
      window.removeEventListener("scroll", measure, true);
    };
  }, [step, onEnd]);
  useEffect(() => {
    if (isShown) card.current?.focus({ preventScroll: true });
  }, [isShown]);

  if (box === null) return null;
  function key(event: KeyboardEvent): void {
    if (event.key === "Escape") onEnd();
  }
  return (
    <>
      <div className="tour-light" style={box} aria-hidden="true" />
      <div
        ref={card}
        className="tour-card"
        role="dialog"
        aria-label={`Tour: ${step.title}`}
        tabIndex={-1}
        style={{ ...cardPlace(box, window.innerWidth, window.innerHeight), width: CARD_WIDTH }}
        onKeyDown={key}
      >
        <div aria-live="polite">
          <p className="muted small num">
            {at + 1} of {of}
          </p>
          <h2>{step.title}</h2>
          <p>{step.text}</p>
        </div>
        <div className="row spread">
          {at + 1 < of ? (
            <Button kind="plain" size="s" onClick={onEnd}>
              Skip tour
            </Button>
          ) : (
            <span />
          )}
          <div className="row">
            {at > 0 && (
              <Button size="s" onClick={onBack}>
                Back
              </Button>
            )}
            <Button kind="primary" size="s" onClick={onNext}>
              {at + 1 === of ? "Done" : "Next"}
            </Button>
          </div>
        </div>
      </div>
    </>
  );
}
