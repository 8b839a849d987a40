/** The order book: asks above, bids below, what lies between in the middle. A press on a level takes its price. */

import "./market.css";

import { memo, type KeyboardEvent, type ReactElement, type RefObject, useLayoutEffect, useMemo, useRef, useState } from "react";

import { grouped, toUnits } from "../numbers";
import { useStreamStatus } from "../stream/stream";
import { Select } from "../ui/select";
import { useBook } from "./book-store";
import { type BookRow, groupChoices, stepText } from "./grouping";
import { assetsOf, type Market, useMarket } from "./markets";
import { NO_OWN, type OwnLevels, ownLevels, type OwnOrder } from "./own-levels";

/** The side of the order that a level is picked for: who picks an ask buys. */
export type PickedSide = "buy" | "sell";

export interface BookProps {
  market: string;
  onPick?: (price: string, side: PickedSide) => void;
  /** One's own orders that stand in it: their rows are marked. */
  own?: readonly OwnOrder[];
  className?: string;
}

const NOBODYS: readonly OwnOrder[] = [];
const ROW_PX = 24;
const FEWEST_ROWS = 4;
const MOST_ROWS = 40;

export function Book({ market, onPick, own = NOBODYS, className = "" }: BookProps): ReactElement {
  const known = useMarket(market);
  const [chosen, setChosen] = useState<{ market: string; ticks: bigint }>({ market, ticks: 1n });
  const ticks = chosen.market === market ? chosen.ticks : 1n;
  const [body, rows] = useRowCount();
  const book = useBook(market, ticks, rows);
  const { state } = useStreamStatus();
  const [base, quote] = assetsOf(market);
  const mine = useOwnLevels(own, known, ticks);
  const isStale = book.state === "stale" || (book.state === "live" && state !== "live");

  return (
    <section className={`panel book ${className}`} aria-labelledby="book-title" data-tour="book" data-state={book.state}>
      <header className="panel-head">
        <h2 id="book-title">Order book</h2>
        <div className="row tight">
          {isStale && <span className="badge warn">Not live</span>}
          <GroupChoice
            market={known}
            price={book.mid ?? known?.lastPrice ?? null}
            ticks={ticks}
            onChange={(next) => setChosen({ market, ticks: next })}
          />
        </div>
      </header>
      <div className="book-columns" aria-hidden="true">
        <span>Price ({quote})</span>
        <span>Size ({base})</span>
        <span>Total</span>
      </div>
      <div ref={body} className="book-body" aria-busy={book.state === "loading"}>
        <Levels side="ask" label="Asks, the best last" rows={book.asks} own={mine.asks} count={rows} onPick={onPick} isReversed />
        <Middle spread={book.spread} spreadBps={book.spreadBps} mid={book.mid} isLoading={book.state === "loading"} />
        <Levels side="bid" label="Bids, the best first" rows={book.bids} own={mine.bids} count={rows} onPick={onPick} />
      </div>
    </section>
  );
}

/** Made anew when an order or the grouping changes, not when the book does. */
function useOwnLevels(own: readonly OwnOrder[], market: Market | undefined, ticks: bigint): { bids: OwnLevels; asks: OwnLevels } {
  const tick = market?.tick;
  const price = market?.tickDecimals ?? 0;
  const size = market?.lotDecimals ?? 0;
  return useMemo(() => {
    if (tick === undefined || own.length === 0) return { bids: NO_OWN, asks: NO_OWN };
    const stepUnits = ticks * toUnits(tick, price);
    const of = (side: "bid" | "ask"): OwnLevels => ownLevels(own, side, stepUnits, { price, size });
    return { bids: of("bid"), asks: of("ask") };
  }, [own, tick, price, size, ticks]);
}

/** As many rows a side as there is room for, known before anything is painted. */
function useRowCount(): [RefObject<HTMLDivElement | null>, number] {
  const body = useRef<HTMLDivElement>(null);
  const [rows, setRows] = useState(12);
  useLayoutEffect(() => {
    const element = body.current;
    if (element === null) return;
    const measure = (): void => {
      const row = Number.parseInt(getComputedStyle(element).getPropertyValue("--row"), 10) || ROW_PX;
      const room = element.clientHeight - (element.querySelector(".book-middle")?.clientHeight ?? 0);
      // Hidden on a phone there is no height: what was known stays.
      if (room > 0) setRows(Math.min(MOST_ROWS, Math.max(FEWEST_ROWS, Math.floor(room / 2 / row))));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [body, rows];
}

interface GroupChoiceProps {
  market: Market | undefined;
  price: string | null;
  ticks: bigint;
  onChange(ticks: bigint): void;
}

function GroupChoice({ market, price, ticks, onChange }: GroupChoiceProps): ReactElement {
  const digits = price?.split(".")[0]?.length ?? 0;
  const tick = market?.tick ?? "0.01";
  const decimals = market?.tickDecimals ?? 2;
  const options = useMemo(() => {
    // By the price's magnitude only: the choices stay while the price moves.
    const magnitude = digits === 0 ? null : `1${"0".repeat(digits - 1)}`;
    return groupChoices(tick, decimals, magnitude).map((choice) => ({
      value: choice.toString(),
      label: stepText(tick, decimals, choice),
    }));
  }, [tick, decimals, digits]);
  const value = ticks.toString();
  return (
    <Select
      small
      aria-label="Group prices by"
      value={options.some((option) => option.value === value) ? value : "1"}
      options={options}
      onChange={(next) => onChange(BigInt(next))}
    />
  );
}

interface LevelsProps {
  side: "bid" | "ask";
  label: string;
  rows: readonly BookRow[];
  own: OwnLevels;
  count: number;
  onPick: BookProps["onPick"];
  isReversed?: boolean;
}

function Levels({ side, label, rows, own, count, onPick, isReversed = false }: LevelsProps): ReactElement {
  const slots = Array.from({ length: count }, (_, at) => (isReversed ? count - 1 - at : at));
  return (
    <ul className={`book-levels ${side}s`} aria-label={label} onKeyDown={moveFocus}>
      {slots.map((slot) => {
        const row = rows[slot];
        return row === undefined ? (
          <li key={slot} className="book-row" aria-hidden="true" />
        ) : (
          <LevelRow key={slot} side={side} isBest={slot === 0} own={own.get(row.price)} onPick={onPick} {...row} />
        );
      })}
    </ul>
  );
}

type LevelRowProps = BookRow & {
  side: "bid" | "ask";
  isBest: boolean;
  /** How much of it is one's own. */
  own: string | undefined;
  onPick: BookProps["onPick"];
};

const LevelRow = memo(function LevelRow({ side, isBest, own, price, size, total, share, onPick }: LevelRowProps) {
  return (
    <li className={own === undefined ? "book-row" : "book-row own"}>
      <span className="book-bar" style={{ transform: `scaleX(${share / 1_000})` }} />
      <button
        type="button"
        className="num"
        tabIndex={isBest ? 0 : -1}
        title={own === undefined ? undefined : `Your orders here: ${grouped(own)}`}
        onClick={() => onPick?.(price, side === "ask" ? "buy" : "sell")}
      >
        <span className={side === "bid" ? "buy" : "sell"}>
          <Spoken>{side === "bid" ? "Bid " : "Ask "}</Spoken>
          {grouped(price)}
        </span>
        <span>
          <Spoken>size </Spoken>
          {grouped(size)}
        </span>
        <span className="muted">
          <Spoken>total </Spoken>
          {grouped(total)}
          {own !== undefined && <Spoken>{` yours ${grouped(own)}`}</Spoken>}
          <Spoken> Use this price</Spoken>
        </span>
      </button>
    </li>
  );
});

/** What the column's head says to the eye. */
function Spoken({ children }: { children: string }): ReactElement {
  return <span className="visually-hidden">{children}</span>;
}

interface MiddleProps {
  mid: string | null;
  spread: string | null;
  spreadBps: bigint | null;
  isLoading: boolean;
}

const Middle = memo(function Middle({ mid, spread, spreadBps, isLoading }: MiddleProps) {
  const percent = spreadBps === null ? "" : `${spreadBps / 100n}.${(spreadBps % 100n).toString().padStart(2, "0")}%`;
  return (
    <dl className="book-middle num">
      <div>
        <dt>Mid</dt>
        <dd className="strong">{mid === null ? (isLoading ? "…" : "–") : grouped(mid)}</dd>
      </div>
      <div>
        <dt>Spread</dt>
        <dd>{spread === null ? "–" : `${grouped(spread)} · ${percent}`}</dd>
      </div>
    </dl>
  );
});

/** Arrows go from level to level: the whole side is one stop of the Tab key. */
function moveFocus(event: KeyboardEvent<HTMLUListElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined || !(event.target instanceof HTMLElement)) return;
  const levels = [...event.currentTarget.querySelectorAll("button")];
  const at = levels.findIndex((level) => level === event.target);
  if (at < 0) return;
  event.preventDefault();
  levels[at + step]?.focus();
}
