/** What a signature is for, as whoever asks for it says. */

import type { ReactElement } from "react";

import type { Purpose } from "./signer";

/** Addresses and hashes, alone or after a name. */
const LONG_HEX = /0x[0-9a-fA-F]{20,}$/;

export function PurposeFacts({ purpose }: { purpose: Purpose }): ReactElement {
  return (
    <>
      {purpose.lines.length > 0 && (
        <dl className="facts purpose">
          {purpose.lines.map((line) => (
            <div key={line.label}>
              <dt>{line.label}</dt>
              <dd className={LONG_HEX.test(line.value) ? "mono small" : "strong"}>{line.value}</dd>
            </div>
          ))}
        </dl>
      )}
      {purpose.warning !== undefined && <p className="note warn">{purpose.warning}</p>}
    </>
  );
}
