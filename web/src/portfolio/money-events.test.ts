import { describe, expect, it } from "vitest";

import { balancePoints, frameOf, pointAt, stepLine } from "./balance-history";
import { type Fill, type LedgerEntry, moneyEvents, volumeOfDays } from "./money-events";
import { leftOutText, priceOf, quoteAsset, share, worth } from "./valuation";

const PAIRS = new Map([
  ["ETH-USDC", { base: "ETH", quote: "USDC" }],
  ["WBTC-ETH", { base: "WBTC", quote: "ETH" }],
]);
const DECIMALS = new Map([
  ["ETH", 18],
  ["USDC", 6],
  ["WBTC", 8],
]);
const DAY_MS = 86_400_000;

function fill(part: Partial<Fill>): Fill {
  return {
    trade_id: "1",
    order_id: "1",
    market: "ETH-USDC",
    side: "buy",
    role: "taker",
    price: "3000",
    size: "0.5",
    amount: "1500",
    fee: "3",
    fee_asset: "USDC",
    time_ms: 1,
    ...part,
  };
}

function entry(part: Partial<LedgerEntry>): LedgerEntry {
  return {
    entry_id: "1.0.0",
    kind: "deposit",
    reference: "r",
    asset: "USDC",
    available_change: "0",
    held_change: "0",
    available: "0",
    held: "0",
    time_ms: 1,
    ...part,
  };
}

describe("events out of histories", () => {
  it("have trades in atoms, with a rebate's sign", () => {
    const { events } = moneyEvents([fill({ fee: "-0.15", role: "maker" })], [], PAIRS, DECIMALS);
    expect(events).toEqual([
      { kind: "trade", timeMs: 1, base: "ETH", quote: "USDC", side: "buy", baseAtoms: 5n * 10n ** 17n, quoteAtoms: 1_500_000_000n, feeAtoms: -150_000n },
    ]);
  });

  it("have what crosses the account's border, and nothing that only moves within it", () => {
    const ledger = [
      entry({ kind: "deposit", available_change: "10" }),
      entry({ kind: "order_hold", available_change: "-4", held_change: "4" }),
      entry({ kind: "trade", held_change: "-4" }),
      entry({ kind: "withdrawal", available_change: "-6", reference: "w" }),
      entry({ kind: "withdrawal_settled" }),
      entry({ kind: "withdrawal_refunded", available_change: "6", reference: "w" }),
    ];
    const { events } = moneyEvents([], ledger, PAIRS, DECIMALS);
    expect(events.map((event) => (event.kind === "flow" ? [event.changeAtoms, event.isRefund] : null))).toEqual([
      [10_000_000n, false],
      [-6_000_000n, false],
      [6_000_000n, true],
    ]);
  });

  it("count what they can not read", () => {
    const gone = entry({ kind: "deposit", asset: "DOGE", available_change: "10" });
    expect(moneyEvents([fill({ market: "DOGE-USDC" })], [gone], PAIRS, DECIMALS)).toEqual({
      events: [],
      unread: 1,
      unlisted: ["DOGE"],
    });
  });

  it("add up the volume of whole days in UTC, in the quote asset only", () => {
    const now = 100 * DAY_MS + 5;
    const fills = [
      fill({ time_ms: 70 * DAY_MS, amount: "1" }),
      fill({ time_ms: 70 * DAY_MS - 1, amount: "10" }),
      fill({ time_ms: now, amount: "0.5" }),
      fill({ time_ms: now, market: "WBTC-ETH", amount: "20" }),
    ];
    expect(volumeOfDays(fills, PAIRS, "USDC", 6, now)).toBe("1.5");
  });
});

describe("a balance over time", () => {
  const ledger = [
    entry({ time_ms: 1_000, available: "10" }),
    entry({ time_ms: 2_000, available: "6", held: "4" }),
    entry({ time_ms: 3_000, available: "6", held: "1" }),
    entry({ time_ms: 3_000, available: "6", held: "0" }),
    entry({ time_ms: 4_000, asset: "ETH", available: "1" }),
    entry({ time_ms: 5_000, available: "0" }),
  ];

  it("has a point for each change of the whole, the last of a moment", () => {
    expect(balancePoints(ledger, "USDC", 6)).toEqual([
      { timeMs: 1_000, atoms: 10_000_000n },
      { timeMs: 3_000, atoms: 6_000_000n },
      { timeMs: 5_000, atoms: 0n },
    ]);
  });

  it("is drawn as steps, from nothing to the most there was", () => {
    const points = balancePoints(ledger, "USDC", 6);
    const frame = { fromMs: 1_000, toMs: 9_000, lowAtoms: 0n, highAtoms: 10_000_000n };
    expect(stepLine(points, frame, 80, 100)).toBe("M0 100H0V0H20V40H40V100H80");
    expect(frameOf(points, 61_000)).toEqual({ ...frame, toMs: 61_000 });
    expect(frameOf([], 1)).toBeNull();
  });

  it("is found for any time", () => {
    const points = balancePoints(ledger, "USDC", 6);
    expect(pointAt(points, 999)).toBeNull();
    expect(pointAt(points, 1_000)?.atoms).toBe(10_000_000n);
    expect(pointAt(points, 4_999)?.atoms).toBe(6_000_000n);
    expect(pointAt(points, 99_999)?.atoms).toBe(0n);
  });
});

describe("what it is worth", () => {
  const tickers = [
    { base: "ETH", quote: "USDC", last: "3000.01", bid: null, ask: null },
    { base: "WBTC", quote: "USDC", last: null, bid: ["60000", "1"], ask: ["60001", "1"] },
    { base: "X", quote: "USDC", last: null, bid: null, ask: ["1", "1"] },
  ] as const;

  it("is by the last trade, else the middle of the book, else not known", () => {
    expect(priceOf("ETH", "USDC", tickers)).toEqual({ units: 300_001n, decimals: 2 });
    expect(priceOf("WBTC", "USDC", tickers)).toEqual({ units: 600_005n, decimals: 1 });
    expect(priceOf("X", "USDC", tickers)).toBeNull();
    expect(priceOf("USDC", "USDC", tickers)).toEqual({ units: 1n, decimals: 0 });
  });

  it("is exact, and cut off at the smallest unit", () => {
    expect(worth(123_456_789_012_345_678n, 18, { units: 300_001n, decimals: 2 }, 6)).toBe(370_371_601n);
    expect(worth(5n, 0, { units: 3n, decimals: 8 }, 6)).toBe(0n);
    expect(worth(10n ** 9n, 0, { units: 3n, decimals: 8 }, 6)).toBe(30_000_000n);
    expect(share(1n, 3n)).toBe("33.3");
    expect(share(1n, 0n)).toBeNull();
  });

  it("is told in the asset that most markets are quoted in", () => {
    expect(quoteAsset([{ quote: "USDC" }, { quote: "ETH" }, { quote: "USDC" }])).toBe("USDC");
    expect(quoteAsset([])).toBeNull();
  });
});

it("says which assets a sum leaves out, and why", () => {
  const dead = { base: "WBTC", quote: "USDC", last: null, bid: null, ask: null };
  expect(leftOutText([], "USDC", [dead])).toBeNull();
  expect(leftOutText(["WBTC", "LINK"], "USDC", [dead])).toBe(
    "Not in this sum: WBTC (no price in WBTC-USDC yet), LINK (no market has a price of it in USDC).",
  );
});
