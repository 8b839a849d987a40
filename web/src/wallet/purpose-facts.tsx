/** What a signature is for, as whoever asks for it says. */

import type { ReactElement } from "react";

import type { Purpose } from "./signer";

export function PurposeFacts({ purpose }: { purpose: Purpose }): ReactElement {
  return (
    <>
      {purpose.lines.length > 0 && (
        <dl className="facts">
          {purpose.lines.map((line) => (
            <div key={line.label}>
              <dt>{line.label}</dt>
              <dd className="break strong">{line.value}</dd>
            </div>
          ))}
        </dl>
      )}
      {purpose.warning !== undefined && <p className="note warn">{purpose.warning}</p>}
    </>
  );
}
