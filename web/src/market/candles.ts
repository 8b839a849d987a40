/** Candles of one market and interval, put together from pages of history and from the stream. No I/O. */

import type { Schemas } from "../api/client";

export type Candle = Schemas["CandleItem"];

export const INTERVALS = ["1s", "1m", "5m", "15m", "30m", "1h", "4h", "1d", "1w"] as const;
export type Interval = (typeof INTERVALS)[number];

const MINUTE_MS = 60_000;
export const INTERVAL_MS: Readonly<Record<Interval, number>> = {
  "1s": 1_000,
  "1m": MINUTE_MS,
  "5m": 5 * MINUTE_MS,
  "15m": 15 * MINUTE_MS,
  "30m": 30 * MINUTE_MS,
  "1h": 60 * MINUTE_MS,
  "4h": 240 * MINUTE_MS,
  "1d": 1_440 * MINUTE_MS,
  "1w": 10_080 * MINUTE_MS,
};

/** What changed: nothing; only candles from this place on, where the last one was; or older ones too. */
export type Changed = { kind: "nothing" } | { kind: "tail"; from: number } | { kind: "all" };

export class CandleSeries {
  /** Oldest first, one for each `open_ms`. */
  readonly candles: Candle[] = [];

  /**
   * Takes candles in, in any order. A candle only grows: of two for the same time the one with more trades is the
   * newer, whichever way it came.
   */
  merge(came: readonly Candle[]): Changed {
    let lowest = Infinity;
    let isInTail = true;
    const sizeBefore = this.candles.length;
    for (const candle of [...came].sort((one, other) => one.open_ms - other.open_ms)) {
      const at = this.indexOf(candle.open_ms);
      const held = this.candles[at];
      if (held?.open_ms === candle.open_ms) {
        if (held.trades >= candle.trades) continue;
        this.candles[at] = candle;
      } else {
        if (at < this.candles.length) isInTail = false;
        this.candles.splice(at, 0, candle);
      }
      lowest = Math.min(lowest, at);
    }
    if (lowest === Infinity) return { kind: "nothing" };
    // What is before the newest candle there was can not be drawn as an addition.
    const last = sizeBefore - 1;
    return isInTail && lowest >= last && last >= 0 ? { kind: "tail", from: last } : { kind: "all" };
  }

  /** Forgets what is older. */
  beginAt(openMs: number): void {
    this.candles.splice(0, this.indexOf(openMs));
  }

  has(openMs: number): boolean {
    return this.candles[this.indexOf(openMs)]?.open_ms === openMs;
  }

  get first(): Candle | undefined {
    return this.candles[0];
  }

  get last(): Candle | undefined {
    return this.candles.at(-1);
  }

  /** Where a candle of this time is, or would have to go. */
  indexOf(openMs: number): number {
    let low = 0;
    let high = this.candles.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.candles[middle]?.open_ms ?? Infinity) < openMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

const LONGEST_GAP = 120;

/**
 * With a flat candle, at the close before it, for each interval without a trade: time runs evenly on the chart. Of
 * a gap longer than `LONGEST_GAP` intervals only the end is filled.
 */
export function filled(candles: readonly Candle[], intervalMs: number): Candle[] {
  const all: Candle[] = [];
  for (const candle of candles) {
    const before = all.at(-1);
    if (before !== undefined) {
      const earliest = candle.open_ms - LONGEST_GAP * intervalMs;
      for (let at = Math.max(before.open_ms + intervalMs, earliest); at < candle.open_ms; at += intervalMs) {
        all.push(flat(before.close, at));
      }
    }
    all.push(candle);
  }
  return all;
}

function flat(price: string, openMs: number): Candle {
  return {
    open_ms: openMs,
    open: price,
    high: price,
    low: price,
    close: price,
    volume: "0",
    quote_volume: "0",
    trades: 0,
  };
}
