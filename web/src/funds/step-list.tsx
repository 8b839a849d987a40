/** Steps below each other, the one that it waits for marked, each with its transaction. */

import "./funds.css";

import type { ReactElement } from "react";

import { Hash } from "../ui/hash";
import { Icon } from "../ui/icon";
import type { Step, StepState } from "./steps";

const SAID: Record<StepState, string> = {
  done: "Done",
  now: "Now",
  later: "Not yet",
  failed: "Failed",
  skipped: "Not reached",
};

export function StepList({ steps, label }: { steps: Step[]; label: string }): ReactElement {
  return (
    <ol className="steps" aria-label={label}>
      {steps.map((step) => (
        <li key={step.id} className={`step ${step.state}`} aria-current={step.state === "now" ? "step" : undefined}>
          <StepMark state={step.state} />
          <div className="step-text">
            <span className="step-title">
              {step.title}
              <span className="visually-hidden">: {SAID[step.state]}</span>
            </span>
            {step.detail !== undefined && <span className="step-detail">{step.detail}</span>}
            {step.txHash !== undefined && <Hash value={step.txHash} />}
          </div>
        </li>
      ))}
    </ol>
  );
}

function StepMark({ state }: { state: StepState }): ReactElement {
  return (
    <span className="step-mark" aria-hidden="true">
      {state === "done" && <Icon name="check" size={12} />}
      {state === "failed" && <Icon name="close" size={12} />}
      {state === "now" && <span className="step-pulse" />}
    </span>
  );
}
