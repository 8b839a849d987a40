import { describe, expect, it } from "vitest";

import * as m from "./market-rules";

const ETH: m.MarketRules = {
  symbol: "ETH-USDC",
  base: "ETH",
  quote: "USDC",
  tick: "0.01",
  lot: "0.0001",
  baseDecimals: 18,
  quoteDecimals: 6,
  state: "open",
  makerFeeBps: 0,
  takerFeeBps: 10,
  marketBandBps: 500,
  priceBandBps: 0,
};

describe("a market in whole numbers", () => {
  it("counts ticks, lots and atoms exactly", () => {
    expect(m.unitAtoms(ETH)).toBe(1n); // 0.01 x 0.0001 USDC is one atom
    expect(m.ticksOf("3000.01", ETH)).toBe(300_001n);
    expect(m.lotsOf("0.5", ETH)).toBe(5_000n);
    expect(m.notionalAtoms(300_000n, 5_000n, ETH)).toBe(1_500_000_000n);
    expect(m.lotAtoms(ETH)).toBe(10n ** 14n);
    expect(m.priceOf(300_001n, ETH)).toBe("3000.01");
    expect(m.sizeOf(5_001n, ETH)).toBe("0.5001");
  });

  it("knows steps that are no power of ten", () => {
    const coarse = { ...ETH, tick: "0.25", lot: "5" };
    expect(m.ticksOf("3000.75", coarse)).toBe(12_003n);
    expect(m.priceOf(12_003n, coarse)).toBe("3000.75");
    expect(m.sizeOf(3n, coarse)).toBe("15");
    expect(m.unitAtoms(coarse)).toBe(1_250_000n);
  });

  it("knows ticks that are finer than an atom", () => {
    const fine = { ...ETH, tick: "0.00000001", lot: "100" };
    expect(m.unitAtoms(fine)).toBe(1n);
    expect(m.notionalAtoms(m.ticksOf("0.00001234", fine), m.lotsOf("500", fine), fine)).toBe(6_170n);
  });

  it("rounds a fee up, once, over all of the order; a rebate too", () => {
    expect(m.feeAtoms(1n, 0n, ETH)).toBe(1n);
    expect(m.feeAtoms(2_990_000_000n, 0n, ETH)).toBe(2_990_000n);
    expect(m.feeAtoms(10_001n, 10_001n, { ...ETH, takerFeeBps: 5, makerFeeBps: 2 })).toBe(8n);
    expect(m.feeAtoms(0n, 10_001n, { ...ETH, makerFeeBps: -5 })).toBe(-5n);
  });

  it("sets aside the fee at the higher of the two rates, and finds the most lots for that", () => {
    expect(m.buyHoldAtoms(300_000n, 5_000n, ETH)).toBe(1_501_500_000n);
    const atoms = 1_000_000_007n;
    for (const ticks of [1n, 7n, 299_999n, 300_001n]) {
      const lots = m.lotsForHold(ticks, atoms, ETH);
      expect(m.buyHoldAtoms(ticks, lots, ETH) <= atoms).toBe(true);
      expect(m.buyHoldAtoms(ticks, lots + 1n, ETH) > atoms).toBe(true);
    }
  });

  it("finds the largest notional that fits an amount with its fee", () => {
    for (const atoms of [1n, 2n, 999n, 1_001n, 301_000_000n, 301_000_001n]) {
      const notional = m.notionalForAmount(atoms, ETH);
      expect(notional + m.feeAtoms(notional, 0n, ETH) <= atoms).toBe(true);
      expect(notional + 1n + m.feeAtoms(notional + 1n, 0n, ETH) > atoms).toBe(true);
    }
  });

  it("takes the last price, held between the best quotes, as the market's", () => {
    expect(m.referenceTicks(100n, 90n, 110n)).toBe(100n);
    expect(m.referenceTicks(100n, 105n, 110n)).toBe(105n);
    expect(m.referenceTicks(100n, 90n, 95n)).toBe(95n);
    expect(m.referenceTicks(null, 90n, 95n)).toBe(92n);
    expect(m.referenceTicks(null, 90n, null)).toBe(90n);
    expect(m.referenceTicks(null, null, null)).toBeNull();
  });

  it("rounds bands inwards", () => {
    expect(m.bandTicks("sell", 299_500n, 500)).toBe(284_525n); // the example of docs/api/trading.md
    expect(m.bandTicks("buy", 101n, 500)).toBe(106n);
    expect(m.bandTicks("sell", 101n, 500)).toBe(96n);
    expect(m.bandTicks("sell", 1n, 10_000)).toBe(1n);
  });

  it("has the last rates for tiers beyond the table", () => {
    const tiers = [
      { tier: 0, maker_fee_bps: 1, taker_fee_bps: 10 },
      { tier: 1, maker_fee_bps: -1, taker_fee_bps: 5 },
    ];
    expect(m.ratesOf(tiers, 0)).toEqual({ makerFeeBps: 1, takerFeeBps: 10 });
    expect(m.ratesOf(tiers, 7)).toEqual({ makerFeeBps: -1, takerFeeBps: 5 });
  });
});

describe("what is typed", () => {
  it("is read as whole steps", () => {
    expect(m.parseSteps("3000.01", "0.01")).toEqual({ ok: true, steps: 300_001n });
    expect(m.parseSteps(" .5 ", "0.1")).toEqual({ ok: true, steps: 5n });
    expect(m.parseSteps("5.", "1")).toEqual({ ok: true, steps: 5n });
    expect(m.parseSteps("007", "1")).toEqual({ ok: true, steps: 7n });
    expect(m.parseSteps("1.500", "0.5")).toEqual({ ok: true, steps: 3n });
  });

  it("has values beside it that would be taken when it is between two steps", () => {
    expect(m.parseSteps("3000.005", "0.01")).toEqual({
      ok: false,
      fault: "too_many_decimals",
      nearest: ["3000", "3000.01"],
    });
    expect(m.parseSteps("0.3", "0.25")).toEqual({ ok: false, fault: "off_step", nearest: ["0.25", "0.5"] });
    expect(m.parseSteps("0.30", "0.25")).toEqual({ ok: false, fault: "off_step", nearest: ["0.25", "0.5"] });
    expect(m.parseSteps("7", "5")).toEqual({ ok: false, fault: "off_step", nearest: ["5", "10"] });
    expect(m.parseSteps("0.001", "0.01")).toEqual({ ok: false, fault: "too_many_decimals", nearest: ["0.01"] });
  });

  it("is refused when it is no positive decimal", () => {
    const faults = ["", " ", "0", "0.000", "1e3", "-1", "abc", "1,000", "1.2.3", "9".repeat(81)].map((typed) => {
      const read = m.parseSteps(typed, "0.01");
      return read.ok ? "ok" : read.fault;
    });
    expect(faults).toEqual([
      "missing",
      "missing",
      "must_be_positive",
      "must_be_positive",
      ...Array<string>(6).fill("not_a_decimal"),
    ]);
  });

  it("is read as atoms of assets with and without decimals", () => {
    expect(m.parseAtoms("1.000001", 6)).toEqual({ ok: true, steps: 1_000_001n });
    expect(m.parseAtoms("3", 0)).toEqual({ ok: true, steps: 3n });
    expect(m.parseAtoms("0.0000001", 6)).toMatchObject({ ok: false, fault: "too_many_decimals" });
  });
});
