/** An exact amount as the API gives it, with its asset's symbol, for reading only. */

import "./feedback.css";

import type { ReactElement } from "react";

import { grouped, withDecimals } from "../numbers";

export interface MoneyProps {
  /** null: not known yet */
  value: string | null | undefined;
  asset?: string | undefined;
  /** Exactly so many, cut off; all that there are unless given */
  decimals?: number | undefined;
  /** A plus before gains, and the colours */
  signed?: boolean | undefined;
  className?: string | undefined;
}

export function Money({ value, asset, decimals, signed = false, className }: MoneyProps): ReactElement {
  if (value === null || value === undefined) {
    return <span className={["num faint", className].filter(Boolean).join(" ")}>&ndash;</span>;
  }
  const shown = shownAmount(value, decimals);
  const tone = signed && /[1-9]/.test(shown) ? (value.startsWith("-") ? "sell" : "buy") : undefined;
  const plus = tone === "buy" ? "+" : "";
  return (
    <span className={["num", tone, className].filter(Boolean).join(" ")}>
      {plus}
      {shown}
      {asset !== undefined && <span className="unit"> {asset}</span>}
    </span>
  );
}

/** The digits: thousands set apart, and a real minus, which a reader's eye does not miss. */
export function shownAmount(value: string, decimals?: number): string {
  const negative = value.startsWith("-");
  const digits = negative ? value.slice(1) : value;
  const cut = grouped(decimals === undefined ? digits : withDecimals(digits, decimals));
  return negative && /[1-9]/.test(cut) ? `−${cut}` : cut;
}
