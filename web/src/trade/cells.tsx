/** Small things that tables of orders and fills have in common. */

import type { ReactElement } from "react";

import { Link } from "../router";
import { shownAmount } from "../ui/money";
import { sideText, timeText, dateTimeText } from "./words";

export function SideCell({ side }: { side: string }): ReactElement {
  return <span className={side === "buy" ? "buy strong" : "sell strong"}>{sideText(side)}</span>;
}

export function MarketCell({ market }: { market: string }): ReactElement {
  return (
    <Link to={`/trade/${market}`} className="market-link strong">
      {market}
    </Link>
  );
}

export function TimeCell({ ms }: { ms: number | null | undefined }): ReactElement {
  if (ms === null || ms === undefined) return <span className="faint">–</span>;
  return (
    <time dateTime={new Date(ms).toISOString()} title={dateTimeText(ms)} className="num muted">
      {timeText(ms)}
    </time>
  );
}

/** How much of an order is filled, as a number and a thin bar. */
export function FilledCell({ filled, size }: { filled: string; size: string }): ReactElement {
  const part = filledPercent(filled, size);
  return (
    <span className="filled" title={`${part}% filled`}>
      <span className="num">
        {shownAmount(filled)} <span className="faint">/ {shownAmount(size)}</span>
      </span>
      <span className="filled-bar" aria-hidden="true">
        <span style={{ width: `${part}%` }} />
      </span>
    </span>
  );
}

/** For the width of a bar only. */
function filledPercent(filled: string, size: string): number {
  const whole = Number(size);
  return whole > 0 ? Math.round((Number(filled) / whole) * 100) : 0;
}

export function CsvLink({ path, label }: { path: string; label: string }): ReactElement {
  return (
    <a className="button plain s" href={path} download aria-label={`${label} as CSV`}>
      CSV
    </a>
  );
}
