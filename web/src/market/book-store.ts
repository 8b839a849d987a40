/** A market's book as components read it: followed on the stream, published once per frame. */

import { useSyncExternalStore } from "react";

import { toUnits } from "../numbers";
import type { StreamMessage } from "../stream/stream";
import { type BookRow, groupLevels, rowsOf } from "./grouping";
import { LiveStore } from "./live-store";
import { type Market, useMarket } from "./markets";
import { type BookData, type Level, OrderBook } from "./order-book";

export interface BookView {
  /** Whether there is a book, and it is the exchange's. A book in repair is shown until the next snapshot. */
  readonly state: "loading" | "live" | "stale";
  /** Best first. */
  readonly bids: readonly BookRow[];
  readonly asks: readonly BookRow[];
  readonly spread: string | null;
  readonly spreadBps: bigint | null;
  readonly mid: string | null;
}

/** Levels as they are, best first, for estimates. */
export interface BookLevels {
  readonly state: BookView["state"];
  readonly bids: readonly (readonly [price: string, size: string])[];
  readonly asks: readonly (readonly [price: string, size: string])[];
}

const EMPTY: BookView = { state: "loading", bids: [], asks: [], spread: null, spreadBps: null, mid: null };
const NO_LEVELS: BookLevels = { state: "loading", bids: [], asks: [] };

export class BookStore extends LiveStore<BookData> {
  state: BookView["state"] = "loading";
  readonly book: OrderBook;
  private readonly tickUnits: bigint;
  private readonly made = new Map<string, { version: number; value: unknown }>();

  constructor(private readonly market: Pick<Market, "symbol" | "tick" | "tickDecimals" | "lotDecimals">) {
    super({ channel: "book", market: market.symbol });
    this.book = new OrderBook(market.tickDecimals, market.lotDecimals);
    this.tickUnits = toUnits(market.tick, market.tickDecimals);
  }

  /** `rows` groups of each side. The same object until the next publication. */
  view(groupTicks: bigint, rows: number): BookView {
    return this.remade(`${groupTicks} ${rows}`, () => {
      const stepUnits = groupTicks * this.tickUnits;
      const bids = groupLevels(this.book.bids(), "bid", stepUnits, rows);
      const asks = groupLevels(this.book.asks(), "ask", stepUnits, rows);
      const { spread, spreadBps, mid } = this.book;
      const decimals = { price: this.market.tickDecimals, size: this.market.lotDecimals };
      return { state: this.state, ...rowsOf(bids, asks, decimals), spread, spreadBps, mid };
    });
  }

  levels(depth: number): BookLevels {
    return this.remade(`levels ${depth}`, () => ({
      state: this.state,
      bids: first(this.book.bids(), depth),
      asks: first(this.book.asks(), depth),
    }));
  }

  override take(message: StreamMessage<BookData>): void {
    if (message.kind === "ended") return this.reset();
    if (message.kind === "update" && this.state !== "live") return;
    const isRight = message.kind === "snapshot" ? this.book.replace(message.data) : this.book.apply(message.data);
    this.state = isRight ? "live" : "stale";
    if (!isRight) this.begin();
  }

  protected override reset(): void {
    this.state = "loading";
    this.book.clear();
  }

  private remade<V>(key: string, make: () => V): V {
    const before = this.made.get(key);
    if (before?.version === this.version) return before.value as V;
    if (before === undefined && this.made.size > 16) this.made.clear();
    const value = make();
    this.made.set(key, { version: this.version, value });
    return value;
  }
}

function first(levels: Iterable<Level>, count: number): [string, string][] {
  const found: [string, string][] = [];
  for (const level of levels) {
    if (found.length === count) break;
    found.push([level.price, level.size]);
  }
  return found;
}

const stores = new Map<string, BookStore>();

function storeOf(market: Market): BookStore {
  const key = `${market.symbol} ${market.tick} ${market.lot}`;
  let store = stores.get(key);
  if (store === undefined) stores.set(key, (store = new BookStore(market)));
  return store;
}

function noSubscription(): () => void {
  return () => undefined;
}

/** The book in groups of `groupTicks` ticks, `rows` of each side. */
export function useBook(market: string, groupTicks: bigint, rows = 15): BookView {
  const known = useMarket(market);
  const store = known === undefined ? null : storeOf(known);
  return useSyncExternalStore(store?.subscribe ?? noSubscription, () => store?.view(groupTicks, rows) ?? EMPTY);
}

/** The best `depth` levels of each side, not grouped. */
export function useLevels(market: string, depth = 200): BookLevels {
  const known = useMarket(market);
  const store = known === undefined ? null : storeOf(known);
  return useSyncExternalStore(store?.subscribe ?? noSubscription, () => store?.levels(depth) ?? NO_LEVELS);
}
