/** An address or a hash: both its ends, all of it when pointed at, and copied whole. */

import "./feedback.css";

import type { ReactElement } from "react";

import { CopyButton } from "./copy-button";

export interface HashProps {
  value: string;
  /** What it is: "address", "transaction" */
  label?: string | undefined;
  /** All characters, broken over lines where there is no room */
  full?: boolean | undefined;
  copy?: boolean | undefined;
}

export function Hash({ value, label = "value", full = false, copy = true }: HashProps): ReactElement {
  return (
    <span className={full ? "hash full" : "hash"}>
      <span className="mono" title={value}>
        {full ? value : shortHash(value)}
      </span>
      {copy && <CopyButton value={value} label={`Copy ${label}`} />}
    </span>
  );
}

/** "0x1234…abcd"; short ones stay whole. */
export function shortHash(value: string): string {
  return value.length <= 14 ? value : `${value.slice(0, 6)}…${value.slice(-4)}`;
}
