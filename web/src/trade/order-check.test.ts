import { describe, expect, it } from "vitest";

import { check } from "./order-check";
import { hasField, newDraft, type OrderDraft, type Surroundings, timesInForce, triggerType } from "./order-draft";
import { isByAmount, percentOf, withPercent } from "./order-size";
import type { MarketRules } from "./market-rules";

const ETH: MarketRules = {
  symbol: "ETH-USDC",
  base: "ETH",
  quote: "USDC",
  tick: "0.01",
  lot: "0.0001",
  baseDecimals: 18,
  quoteDecimals: 6,
  state: "open",
  makerFeeBps: 2,
  takerFeeBps: 10,
  marketBandBps: 500,
  priceBandBps: 0,
};

const AROUND: Surroundings = {
  rules: ETH,
  bids: [
    ["2990", "5"],
    ["2980", "5"],
  ],
  asks: [
    ["3000", "5"],
    ["3010", "5"],
  ],
  lastPrice: "2995",
  available: { base: "10", quote: "100000" },
  nowMs: new Date("2026-11-29T12:00:00").getTime(),
};

function draft(patch: Partial<OrderDraft> = {}): OrderDraft {
  return { ...newDraft(), price: "2980", size: "0.5", ...patch };
}

function around(patch: Partial<Surroundings> & { rules?: MarketRules } = {}): Surroundings {
  return { ...AROUND, ...patch };
}

function codes(of: OrderDraft, there: Surroundings = AROUND): string[] {
  return check(of, there).errors.map((error) => `${error.field}:${error.code}`);
}

describe("a limit order", () => {
  it("becomes the request that was typed", () => {
    expect(check(draft(), AROUND).request).toEqual({
      market: "ETH-USDC",
      side: "buy",
      type: "limit",
      time_in_force: "gtc",
      price: "2980",
      size: "0.5",
    });
  });

  it("that stands pays the maker's fee, and sets aside the taker's", () => {
    const { estimate, hold } = check(draft(), AROUND);
    expect(estimate).toMatchObject({ notional: "1490", fee: "0.298", total: "1490.298", takes: "nothing" });
    expect(hold).toBe("1491.49");
  });

  it("that reaches the book takes first, then stands", () => {
    const { estimate } = check(draft({ price: "3005", size: "6" }), AROUND);
    // 5 at 3000 as taker, 1 at 3005 as maker
    expect(estimate).toMatchObject({ notional: "18005", fee: "15.601", total: "18020.601", takes: "some" });
    expect(estimate?.averagePrice).toBe("3000.84"); // 3000.8333.. rounded up for a buyer
  });

  it("sells: holds the base asset, brings the total less the fee", () => {
    const { estimate, hold } = check(draft({ side: "sell", price: "2990", size: "1" }), AROUND);
    expect(estimate).toMatchObject({ notional: "2990", fee: "2.99", total: "2987.01", takes: "all" });
    expect(hold).toBe("1");
  });

  it("post-only is all the maker's, and is warned of where it would cross", () => {
    const crossing = check(draft({ price: "3000", timeInForce: "post_only" }), AROUND);
    expect(crossing.warnings.map((warning) => warning.field)).toEqual(["price"]);
    expect(crossing.request?.time_in_force).toBe("post_only");
    expect(check(draft({ price: "2999.99", timeInForce: "post_only" }), AROUND).warnings).toEqual([]);
    expect(check(draft({ side: "sell", price: "2990", timeInForce: "post_only" }), AROUND).warnings).toHaveLength(1);
  });

  it("that does not stand says what can not be had", () => {
    const ioc = check(draft({ price: "3000", size: "6", timeInForce: "ioc" }), AROUND);
    expect(ioc.warnings).toEqual([{ field: "size", text: "More than there is now: the rest is not traded" }]);
    expect(ioc.estimate).toMatchObject({ size: "5", notional: "15000" });
    const fok = check(draft({ price: "3000", size: "6", timeInForce: "fok" }), AROUND);
    expect(fok.warnings[0]?.text).toContain("it would be refused");
  });

  it("until a time needs one that is still to come", () => {
    expect(codes(draft({ timeInForce: "gtt" }))).toEqual(["goodTill:field_missing"]);
    expect(codes(draft({ timeInForce: "gtt", goodTill: "2026-11-29T11:59" }))).toEqual(["goodTill:good_till_invalid"]);
    expect(codes(draft({ timeInForce: "gtt", goodTill: "nonsense" }))).toEqual(["goodTill:good_till_invalid"]);
    const request = check(draft({ timeInForce: "gtt", goodTill: "2026-11-29T12:01" }), AROUND).request;
    expect(request?.good_till_ms).toBe(AROUND.nowMs + 60_000);
  });

  it("is warned of beyond the market's band", () => {
    const banded = around({ rules: { ...ETH, priceBandBps: 1_000 } });
    expect(check(draft({ price: "3295" }), banded).warnings[0]?.text).toContain("Too far");
    expect(check(draft({ price: "3294.5", size: "0.1" }), banded).warnings).toEqual([]);
    expect(check(draft({ price: "1" }), banded).warnings).toEqual([]); // better prices are never refused
  });
});

describe("what is wrong stands beside its field", () => {
  it("for prices and sizes between steps, with those nearby", () => {
    const { errors, request } = check(draft({ price: "2980.005", size: "0.00005" }), AROUND);
    expect(errors).toMatchObject([
      { field: "price", code: "too_many_decimals", nearest: ["2980", "2980.01"] },
      { field: "size", code: "too_many_decimals", nearest: ["0.0001"] },
    ]);
    expect(request).toBeNull();
  });

  it("for what is missing, zero, or no number", () => {
    expect(codes(draft({ price: "", size: "" }))).toEqual(["price:field_missing", "size:field_missing"]);
    expect(codes(draft({ price: "0", size: "0.0" }))).toEqual(["price:must_be_positive", "size:must_be_positive"]);
    expect(codes(draft({ price: "x", size: "1e5" }))).toEqual(["price:not_a_decimal", "size:not_a_decimal"]);
  });

  it("for more than is available, with the most there is", () => {
    const poor = around({ available: { base: "0.25", quote: "1000" } });
    const [buy] = check(draft(), poor).errors;
    expect(buy).toMatchObject({ field: "size", code: "insufficient_funds", nearest: ["0.3352"] });
    expect(codes(draft({ size: "0.3352" }), poor)).toEqual([]);
    expect(codes(draft({ size: "0.3353" }), poor)).toEqual(["size:insufficient_funds"]);
    expect(check(draft({ side: "sell" }), poor).errors[0]?.nearest).toEqual(["0.25"]);
    expect(check(draft(), around({ available: { base: "0", quote: "0" } })).errors[0]?.nearest).toEqual([]);
  });

  it("nobody is poor who is not signed in", () => {
    expect(codes(draft({ size: "1000000" }), around({ available: null }))).toEqual([]);
  });

  it("for markets that do not take it", () => {
    const market = (state: MarketRules["state"]) => around({ rules: { ...ETH, state } });
    expect(codes(draft(), market("halted"))).toEqual(["order:market_halted"]);
    expect(codes(draft(), market("cancel_only"))).toEqual(["order:market_cancel_only"]);
    expect(codes(draft(), market("post_only"))).toEqual(["order:market_post_only"]);
    expect(codes(draft({ timeInForce: "post_only" }), market("post_only"))).toEqual([]);
    expect(codes(draft(), market("pre_open"))).toEqual([]);
    expect(codes(draft({ timeInForce: "ioc" }), market("pre_open"))).toEqual(["order:market_pre_open"]);
    expect(codes(draft({ kind: "market" }), market("pre_open"))).toEqual(["order:market_pre_open"]);
  });
});

describe("by total", () => {
  it("a limit buy gets the lots that the total pays for with its fee", () => {
    const { request, hold } = check(draft({ unit: "quote", size: "1000" }), AROUND);
    expect(request?.size).toBe("0.3352");
    expect(hold).toBe("999.894896");
  });

  it("a limit sell gets the lots of its worth", () => {
    expect(check(draft({ side: "sell", price: "3000", unit: "quote", size: "1000" }), AROUND).request?.size).toBe("0.3333");
  });

  it("a market buy says its amount, and the exchange finds the lots", () => {
    const typed = draft({ kind: "market", unit: "quote", size: "301" });
    expect(isByAmount(typed)).toBe(true);
    const { request, estimate } = check(typed, AROUND);
    expect(request).toEqual({
      market: "ETH-USDC",
      side: "buy",
      type: "market",
      time_in_force: "ioc",
      price: "3144.75", // the worst that is shown
      amount: "301",
    });
    // the example of docs/api/trading.md: 0.1002 ETH, 300.6 and a fee of 0.3006
    expect(estimate).toMatchObject({ size: "0.1002", notional: "300.6", fee: "0.3006", total: "300.9006" });
  });

  it("a market sell, or one that is all or none, says its size", () => {
    const sell = check(draft({ kind: "market", side: "sell", unit: "quote", size: "299" }), AROUND);
    expect(sell.request).toMatchObject({ size: "0.1" });
    expect(sell.request?.amount).toBeUndefined();
    const fok = check(draft({ kind: "market", unit: "quote", size: "301", timeInForce: "fok" }), AROUND);
    expect(fok.request).toMatchObject({ size: "0.1002", time_in_force: "fok" });
  });

  it("is too small for a single lot", () => {
    expect(codes(draft({ unit: "quote", size: "0.1" }))).toEqual(["size:amount_buys_nothing"]);
    expect(codes(draft({ kind: "market", unit: "quote", size: "0.1" }))).toEqual(["size:amount_buys_nothing"]);
  });

  it("goes no further than the book when nobody offers", () => {
    const empty = around({ asks: [] });
    expect(codes(draft({ kind: "market", unit: "quote", size: "100" }), empty)).toEqual([]);
    expect(codes(draft({ kind: "market", unit: "quote", size: "100", timeInForce: "fok" }), empty)).toEqual([
      "size:amount_buys_nothing",
    ]);
  });
});

describe("a market order", () => {
  it("is estimated through the levels of the book", () => {
    const { request, estimate } = check(draft({ kind: "market", size: "6" }), AROUND);
    expect(request).toEqual({
      market: "ETH-USDC",
      side: "buy",
      type: "market",
      time_in_force: "ioc",
      price: "3144.75",
      size: "6",
    });
    expect(estimate).toMatchObject({
      notional: "18010",
      fee: "18.01",
      total: "18028.01",
      averagePrice: "3001.67",
      worstPrice: "3010",
      limitPrice: "3144.75",
    });
  });

  it("rounds the average of a sell down", () => {
    const { estimate } = check(draft({ kind: "market", side: "sell", size: "6" }), AROUND);
    expect(estimate?.averagePrice).toBe("2988.33");
  });

  it("says what can not be had", () => {
    const { warnings, estimate } = check(draft({ kind: "market", side: "sell", size: "10" }), around({ bids: [["2990", "4"]] }));
    expect(warnings).toEqual([{ field: "size", text: "More than there is now: the rest is not traded" }]);
    expect(estimate).toMatchObject({ size: "4", total: "11948.04" });
  });

  it("takes no level beyond its band", () => {
    const gap = around({ asks: [["3000", "1"], ["3200", "5"]] });
    expect(check(draft({ kind: "market", size: "2" }), gap).estimate).toMatchObject({ size: "1", notional: "3000" });
  });

  it("by size sets aside its worst price", () => {
    const poor = around({ available: { base: "0", quote: "1550" } });
    expect(codes(draft({ kind: "market", size: "0.5" }), poor)).toEqual(["size:insufficient_funds"]);
    expect(codes(draft({ kind: "market", size: "0.49" }), poor)).toEqual([]);
  });

  it("is not possible where there is no price", () => {
    const empty = around({ bids: [], asks: [], lastPrice: null });
    expect(codes(draft({ kind: "market" }), empty)).toEqual(["order:no_reference_price"]);
  });

  it("is bound to the worst price that is shown, whatever the market does before it arrives", () => {
    for (const side of ["buy", "sell"] as const) {
      const { request, estimate } = check(draft({ kind: "market", side, size: "1" }), AROUND);
      expect(request?.price).toBe(estimate?.limitPrice);
    }
  });

  it("has no field for a price, so what is said of one is told elsewhere", () => {
    expect(hasField(draft({ kind: "market" }), "price")).toBe(false);
    expect(hasField(draft(), "price")).toBe(true);
    expect(hasField(draft(), "trigger")).toBe(false);
    expect(hasField(draft(), "goodTill")).toBe(false);
    expect(hasField(draft({ timeInForce: "gtt" }), "goodTill")).toBe(true);
    expect(hasField(draft({ kind: "stop", then: "market" }), "trigger")).toBe(true);
  });

  it("never stands", () => {
    expect(timesInForce(draft({ kind: "market" }))).toEqual(["ioc", "fok"]);
    expect(check(draft({ kind: "market", timeInForce: "gtt" }), AROUND).request?.time_in_force).toBe("ioc");
  });
});

describe("an order that waits", () => {
  const stop = (patch: Partial<OrderDraft> = {}) => draft({ kind: "stop", trigger: "3100", ...patch });

  it("is a stop away from the market, and a take-profit on its other side", () => {
    expect(triggerType(stop(), "3100", "2995")).toBe("stop");
    expect(triggerType(stop(), "2900", "2995")).toBe("take_profit");
    expect(triggerType(stop({ side: "sell" }), "2900", "2995")).toBe("stop");
    expect(triggerType(stop({ side: "sell" }), "3100", "2995")).toBe("take_profit");
    expect(triggerType(stop(), "1", null)).toBe("stop");
  });

  it("becomes a market order when it is met", () => {
    const { request, hold, estimate } = check(stop(), AROUND);
    expect(request).toEqual({
      market: "ETH-USDC",
      side: "buy",
      type: "market",
      time_in_force: "ioc",
      size: "0.5",
      trigger: { type: "stop", price: "3100" },
    });
    expect(hold).toBe("1629.1275"); // 5% above the trigger, with the fee
    expect(estimate).toMatchObject({ notional: "1550", fee: "1.55" });
  });

  it("becomes a limit order when it is met", () => {
    const { request } = check(stop({ side: "sell", then: "limit", trigger: "2900", price: "2850" }), AROUND);
    expect(request).toMatchObject({ type: "limit", price: "2850", trigger: { type: "stop", price: "2900" } });
  });

  it("sells by total at its trigger, not at the worst that it may get", () => {
    const { request, estimate } = check(stop({ side: "sell", trigger: "2000", unit: "quote", size: "1000" }), AROUND);
    expect(request?.size).toBe("0.5");
    expect(estimate).toMatchObject({ notional: "1000", total: "999" });
  });

  it("needs a trigger that is not met already", () => {
    expect(codes(stop({ trigger: "" }))).toEqual(["trigger:field_missing"]);
    expect(codes(stop({ trigger: "2995" }))).toEqual(["trigger:trigger_already_met"]);
    expect(codes(stop({ trigger: "3100.001" }))).toEqual(["trigger:too_many_decimals"]);
  });
});

describe("a part of what is available", () => {
  it("is lots of a limit buy, with the fee, never too much", () => {
    for (const percent of [1, 25, 33, 50, 100]) {
      const part = withPercent(draft(), percent, AROUND);
      expect(part.unit).toBe("base");
      expect(codes(part)).toEqual([]);
      expect(percentOf(part, AROUND)).toBe(percent);
    }
  });

  it("is an amount of a market buy", () => {
    expect(withPercent(draft({ kind: "market" }), 50, AROUND)).toMatchObject({ unit: "quote", size: "50000" });
  });

  it("is lots of a sell", () => {
    expect(withPercent(draft({ side: "sell" }), 50, AROUND)).toMatchObject({ unit: "base", size: "5" });
    const dust = around({ available: { base: "0.00005", quote: "0" } });
    expect(withPercent(draft({ side: "sell" }), 100, dust).size).toBe("");
  });

  it("can not be told without a price, or without an account", () => {
    const typed = draft({ price: "" });
    expect(withPercent(typed, 50, AROUND)).toBe(typed);
    expect(withPercent(typed, 50, around({ available: null }))).toBe(typed);
    expect(percentOf(draft(), around({ available: null }))).toBe(0);
  });
});
