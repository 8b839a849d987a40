/** What is wrong with a field, and values that would be taken, to press. */

import type { ReactElement } from "react";

export interface Fault {
  readonly text: string;
  readonly nearest: readonly string[];
}

export function FaultText({ fault, onPick }: { fault: Fault; onPick(value: string): void }): ReactElement {
  return (
    <>
      {fault.text}
      {fault.nearest.length > 0 && (
        <span className="nearest">
          {fault.nearest.map((value) => (
            <button
              key={value}
              type="button"
              className="nearest-value num"
              aria-label={`Use ${value}`}
              onClick={() => onPick(value)}
            >
              {value}
            </button>
          ))}
        </span>
      )}
    </>
  );
}
