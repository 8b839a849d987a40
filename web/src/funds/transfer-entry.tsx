/** One deposit or withdrawal in a list: what, when and how far; its steps while it is on its way, or when asked for. */

import type { ReactElement, ReactNode } from "react";

import { Money } from "../ui/money";
import { StepList } from "./step-list";
import { type Step, timeOf } from "./steps";

export interface TransferEntryProps {
  amount: string;
  asset: string;
  timeMs: number;
  status: { text: string; tone: "good" | "warn" | "bad" | "accent" | "" };
  steps: Step[];
  /** Steps stand open while there is something to wait for. */
  isOver: boolean;
  children?: ReactNode;
}

export function TransferEntry(props: TransferEntryProps): ReactElement {
  const { amount, asset, timeMs, status, steps, isOver, children } = props;
  const head = (
    <>
      <span className="entry-amount">
        <Money value={amount} asset={asset} />
      </span>
      <span className={`badge ${status.tone}`}>{status.text}</span>
      <time className="muted small entry-time" dateTime={new Date(timeMs).toISOString()}>
        {timeOf(Math.floor(timeMs / 1_000))}
      </time>
    </>
  );
  return (
    <li className="entry">
      {isOver ? (
        <details>
          <summary className="entry-head">{head}</summary>
          <div className="entry-body stack">
            <StepList steps={steps} label={`Steps of ${amount} ${asset}`} />
            {children}
          </div>
        </details>
      ) : (
        <>
          <div className="entry-head">{head}</div>
          <div className="entry-body stack">
            <StepList steps={steps} label={`Steps of ${amount} ${asset}`} />
            {children}
          </div>
        </>
      )}
    </li>
  );
}
