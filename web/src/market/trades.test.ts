import { describe, expect, it } from "vitest";

import { changeText } from "./tickers";
import { type Trade, withTrades } from "./trades";

function trade(id: number): Trade {
  return { trade_id: String(id), price: "1", size: "1", amount: "1", taker_side: "buy", time_ms: id };
}
const ids = (trades: readonly Trade[]): string[] => trades.map((each) => each.trade_id);

describe("the tape", () => {
  it("has the newest first, each once", () => {
    const first = withTrades([], [trade(9), trade(10)]);
    expect(ids(withTrades(first, [trade(10), trade(11)]))).toEqual(["11", "10", "9"]);
  });

  it("is the same thing when nothing is new", () => {
    const first = withTrades([], [trade(1)]);
    expect(withTrades(first, [trade(1)])).toBe(first);
  });

  it("has no more than there is room for, however many come at once", () => {
    const many = Array.from({ length: 200 }, (_, id) => trade(id));
    expect(ids(withTrades([], many, 3))).toEqual(["199", "198", "197"]);
  });
});

describe("a change", () => {
  it("is told with its sign, exactly", () => {
    expect([33, -5, 0, 12_345, null].map(changeText)).toEqual(["+0.33%", "−0.05%", "0.00%", "+123.45%", "–"]);
  });
});
