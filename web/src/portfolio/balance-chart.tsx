/** One asset's balance over time, a step for each change that the ledger has. */

import { type KeyboardEvent, type PointerEvent, type ReactElement, useMemo, useState } from "react";

import type { Asset } from "../funds/assets";
import { fromUnits, grouped } from "../numbers";
import type { Balances } from "../trade/balances";
import { Empty } from "../ui/empty";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { Select } from "../ui/select";
import { balancePoints, type Frame, frameOf, heightOf, placeOf, type Point, pointAt, stepLine } from "./balance-history";
import type { LedgerEntry } from "./money-events";

const WIDTH = 800;
const HEIGHT = 180;

interface Props {
  assets: Asset[] | null;
  balances: Balances | null;
  ledger: LedgerEntry[] | null;
  isCut: boolean;
}

export function BalanceChart({ assets, balances, ledger, isCut }: Props): ReactElement {
  const [chosen, setChosen] = useState<string | null>(null);
  const moved = useMemo(() => new Set(ledger?.map((entry) => entry.asset)), [ledger]);
  const shown = assets?.filter((each) => moved.has(each.symbol) || balances?.has(each.symbol) === true) ?? [];
  const asset = shown.find((each) => each.symbol === chosen) ?? shown[0] ?? null;
  const points = useMemo(
    () => (ledger === null || asset === null ? [] : balancePoints(ledger, asset.symbol, asset.decimals)),
    [ledger, asset],
  );
  return (
    <section className="panel" aria-labelledby="portfolio-history">
      <header className="panel-head">
        <h2 id="portfolio-history">Balance over time</h2>
        {asset !== null && (
          <Select
            small
            aria-label="Asset of the chart"
            value={asset.symbol}
            options={shown.map(({ symbol }) => ({ value: symbol, label: symbol }))}
            onChange={setChosen}
          />
        )}
      </header>
      <div className="panel-body portfolio-chart-body">
        {ledger === null || assets === null ? (
          <Loading />
        ) : asset === null || points.length === 0 ? (
          <Empty icon="chart" title="No history yet" detail="Your balance is drawn from your first deposit on." />
        ) : (
          <Chart points={points} asset={asset} />
        )}
        {isCut && <p className="muted small">Your history is long: only its beginning is drawn. The CSV file has all of it.</p>}
      </div>
    </section>
  );
}

function Chart({ points, asset }: { points: Point[]; asset: Asset }): ReactElement | null {
  const [at, setAt] = useState<number | null>(null);
  // The right end is the moment of the newest change that is known: "now" moves on with every drawing.
  const frame = useMemo(() => frameOf(points, Date.now()), [points]);
  const line = useMemo(() => (frame === null ? "" : stepLine(points, frame, WIDTH, HEIGHT)), [points, frame]);
  if (frame === null) return null;
  const timeMs = at ?? frame.toMs;
  const point = pointAt(points, timeMs);

  function follow(event: PointerEvent<HTMLDivElement>): void {
    const box = event.currentTarget.getBoundingClientRect();
    if (frame !== null) setAt(timeAt((event.clientX - box.left) / box.width, frame));
  }
  function step(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined || frame === null) return;
    event.preventDefault();
    const index = points.findLastIndex((each) => each.timeMs <= timeMs) + by;
    setAt(points[Math.max(0, Math.min(points.length - 1, index))]?.timeMs ?? null);
  }

  const amount = fromUnits(point?.atoms ?? 0n, asset.decimals);
  const left = `${placeOf(timeMs, frame) * 100}%`;
  return (
    <div className="stack tight">
      <p className="portfolio-readout">
        <span className="large"><Money value={amount} asset={asset.symbol} /></span>{" "}
        <span className="muted small">{at === null ? "now" : dateOf(timeMs)}</span>
      </p>
      <div
        className="portfolio-chart"
        role="slider"
        tabIndex={0}
        aria-label={`Balance of ${asset.symbol} over time`}
        aria-valuemin={frame.fromMs}
        aria-valuemax={frame.toMs}
        aria-valuenow={Math.round(timeMs)}
        aria-valuetext={`${amount} ${asset.symbol}, ${dateOf(timeMs)}`}
        onPointerMove={follow}
        onPointerDown={follow}
        onPointerLeave={() => setAt(null)}
        onBlur={() => setAt(null)}
        onKeyDown={step}
      >
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
          <path className="portfolio-area" d={`${line}V${HEIGHT}H0Z`} />
          <path className="portfolio-line" d={line} />
        </svg>
        <span className="portfolio-most num">{grouped(fromUnits(frame.highAtoms, asset.decimals))}</span>
        {at !== null && (
          <>
            <span className="portfolio-cross" style={{ left }} />
            <span className="portfolio-dot" style={{ left, bottom: `${heightOf(point?.atoms ?? 0n, frame) * 100}%` }} />
          </>
        )}
      </div>
      <p className="row spread muted small">
        <time dateTime={new Date(frame.fromMs).toISOString()}>{dateOf(frame.fromMs)}</time>
        <span>now</span>
      </p>
    </div>
  );
}

function timeAt(part: number, frame: Frame): number {
  return frame.fromMs + Math.max(0, Math.min(1, part)) * (frame.toMs - frame.fromMs);
}

function dateOf(timeMs: number): string {
  return new Date(timeMs).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}
