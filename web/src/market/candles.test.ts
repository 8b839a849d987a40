import { describe, expect, it } from "vitest";

import { type Candle, CandleSeries, filled } from "./candles";

const MINUTE = 60_000;

function candle(minute: number, trades = 1, close = "10"): Candle {
  return {
    open_ms: minute * MINUTE,
    open: "10",
    high: "11",
    low: "9",
    close,
    volume: String(trades),
    quote_volume: "0",
    trades,
  };
}

function minutes(series: CandleSeries): number[] {
  return series.candles.map((each) => each.open_ms / MINUTE);
}

describe("a series", () => {
  it("puts pages and what is live in order, each once", () => {
    const series = new CandleSeries();
    series.merge([candle(5), candle(6)]);
    series.merge([candle(1), candle(3), candle(5)]);
    series.merge([candle(7)]);
    expect(minutes(series)).toEqual([1, 3, 5, 6, 7]);
  });

  it("keeps the one with more trades, whichever came first", () => {
    const series = new CandleSeries();
    series.merge([candle(5, 3, "12")]);
    expect(series.merge([candle(5, 2, "11")])).toEqual({ kind: "nothing" });
    expect(series.last?.close).toBe("12");
    series.merge([candle(5, 4, "13")]);
    expect(series.last?.close).toBe("13");
  });

  it("tells whether only its end has changed", () => {
    const series = new CandleSeries();
    expect(series.merge([candle(5)])).toEqual({ kind: "all" });
    expect(series.merge([candle(5, 2), candle(6)])).toEqual({ kind: "tail", from: 0 });
    expect(series.merge([candle(9)])).toEqual({ kind: "tail", from: 1 });
    expect(series.merge([candle(6, 9)])).toEqual({ kind: "all" });
    expect(series.merge([candle(2)])).toEqual({ kind: "all" });
    expect(series.merge([])).toEqual({ kind: "nothing" });
  });
});

describe("intervals without a trade", () => {
  it("have a flat candle at the close before", () => {
    const all = filled([candle(1, 2, "12"), candle(4)], MINUTE);
    expect(all.map((each) => each.open_ms / MINUTE)).toEqual([1, 2, 3, 4]);
    expect(all[1]).toMatchObject({ open: "12", high: "12", low: "12", close: "12", volume: "0", trades: 0 });
  });

  it("are not made up without end", () => {
    expect(filled([candle(1), candle(1_000_000)], MINUTE)).toHaveLength(122);
  });
});

it("drawn bit by bit, the chart has what it would have drawn at once, and never goes back", () => {
  let state = 7;
  const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
  const series = new CandleSeries();
  let drawn: Candle[] = [];
  let now = 100;
  for (let step = 0; step < 500; step += 1) {
    now += random(4);
    const came = Array.from({ length: 1 + random(2) }, () => candle(now - random(random(10) === 0 ? 60 : 2), step + 1));
    const changed = series.merge(came);
    if (changed.kind === "all") drawn = filled(series.candles, MINUTE);
    if (changed.kind === "tail") {
      for (const each of filled(series.candles.slice(changed.from), MINUTE)) {
        const last = drawn.at(-1)?.open_ms ?? 0;
        expect(each.open_ms).toBeGreaterThanOrEqual(last);
        if (each.open_ms === last) drawn.pop();
        drawn.push(each);
      }
    }
    expect(drawn).toEqual(filled(series.candles, MINUTE));
  }
});
