import { describe, expect, it } from "vitest";

import { averageCost, averagePrice, type FlowEvent, type Holding, type MoneyEvent, type TradeEvent } from "./average-cost";

const ETH = 10n ** 18n;
const USDC = 10n ** 6n;
let clock = 0;

function trade(side: "buy" | "sell", base: bigint, quote: bigint, fee = 0n, market = ["ETH", "USDC"]): TradeEvent {
  const [baseAsset = "", quoteAsset = ""] = market;
  return { kind: "trade", timeMs: ++clock, base: baseAsset, quote: quoteAsset, side, baseAtoms: base, quoteAtoms: quote, feeAtoms: fee };
}

const buy = (base: bigint, quote: bigint, fee = 0n) => trade("buy", base, quote, fee);
const sell = (base: bigint, quote: bigint, fee = 0n) => trade("sell", base, quote, fee);

function flow(change: bigint, reference = "d", asset = "ETH", isRefund = false): FlowEvent {
  return { kind: "flow", timeMs: ++clock, asset, changeAtoms: change, reference, isRefund };
}

function eth(...events: MoneyEvent[]): Holding {
  const holding = averageCost(events, "USDC").get("ETH");
  if (holding === undefined) throw new Error("no ETH");
  return holding;
}

describe("average cost", () => {
  it("averages what was bought at different prices, fees included", () => {
    const holding = eth(buy(ETH, 3_000n * USDC, 3n * USDC), buy(3n * ETH, 9_600n * USDC, 9n * USDC));
    expect(holding.knownAtoms).toBe(4n * ETH);
    expect(holding.costAtoms).toBe(12_612n * USDC);
    expect(averagePrice(holding, 18)).toBe(3_153n * USDC);
    expect(holding.feesAtoms).toBe(12n * USDC);
    expect(holding.realisedAtoms).toBe(0n);
  });

  it("realises what a sale brought above the average, its own fee taken off", () => {
    const holding = eth(buy(2n * ETH, 6_000n * USDC), sell(ETH, 3_100n * USDC, 6n * USDC));
    expect(holding.realisedAtoms).toBe(94n * USDC);
    expect(holding.knownAtoms).toBe(ETH);
    expect(holding.costAtoms).toBe(3_000n * USDC);
  });

  it("realises a loss with its sign", () => {
    expect(eth(buy(ETH, 3_000n * USDC, 3n * USDC), sell(ETH, 2_900n * USDC, 3n * USDC)).realisedAtoms).toBe(-106n * USDC);
  });

  it("keeps the average of what is left after a sale", () => {
    const holding = eth(buy(3n * ETH, 9_000n * USDC), sell(ETH, 4_000n * USDC), buy(ETH, 6_000n * USDC));
    expect(averagePrice(holding, 18)).toBe(4_000n * USDC);
    expect(holding.realisedAtoms).toBe(1_000n * USDC);
  });

  it("counts a maker's rebate as a lower cost and a higher return", () => {
    const holding = eth(buy(ETH, 3_000n * USDC, -1n * USDC), sell(ETH, 3_000n * USDC, -1n * USDC));
    expect(holding.realisedAtoms).toBe(2n * USDC);
    expect(holding.feesAtoms).toBe(-2n * USDC);
  });

  it("loses no atom to rounding: costs and profits add up to what was paid and got", () => {
    const events = [buy(3n, 10n), buy(4n, 7n), sell(1n, 5n), sell(2n, 3n, 1n), sell(4n, 9n)];
    const holding = eth(...events);
    expect(holding.knownAtoms).toBe(0n);
    expect(holding.costAtoms).toBe(0n);
    expect(holding.realisedAtoms).toBe(5n + 2n + 9n - 17n);
    expect(averagePrice(holding, 0)).toBeNull();
  });

  it("goes by time, whatever the order in which it is told", () => {
    const first = buy(ETH, 3_000n * USDC);
    const second = sell(ETH, 3_100n * USDC);
    expect(eth(second, first).realisedAtoms).toBe(100n * USDC);
  });
});

describe("what has no known cost", () => {
  it("is what was deposited, and brings neither profit nor loss", () => {
    const holding = eth(flow(10n * ETH), sell(ETH, 3_000n * USDC, 3n * USDC));
    expect(holding.unknownAtoms).toBe(9n * ETH);
    expect(holding.realisedAtoms).toBe(0n);
    expect(holding.soldUnknownAtoms).toBe(2_997n * USDC);
    expect(holding.knownAtoms).toBe(0n);
  });

  it("is sold after what was bought", () => {
    const holding = eth(flow(10n * ETH), buy(ETH, 3_000n * USDC), sell(ETH, 3_100n * USDC));
    expect(holding.realisedAtoms).toBe(100n * USDC);
    expect(holding.unknownAtoms).toBe(10n * ETH);
    expect(holding.soldUnknownAtoms).toBe(0n);
  });

  it("shares a sale with what was bought by size", () => {
    const holding = eth(flow(10n * ETH), buy(ETH, 3_000n * USDC), sell(4n * ETH, 12_800n * USDC));
    expect(holding.realisedAtoms).toBe(200n * USDC);
    expect(holding.soldUnknownAtoms).toBe(9_600n * USDC);
    expect(holding.unknownAtoms).toBe(7n * ETH);
  });

  it("is withdrawn before what was bought, and what was bought leaves at its cost", () => {
    const holding = eth(flow(ETH), buy(2n * ETH, 6_000n * USDC), flow(-2n * ETH, "w"));
    expect(holding.unknownAtoms).toBe(0n);
    expect(holding.knownAtoms).toBe(ETH);
    expect(holding.costAtoms).toBe(3_000n * USDC);
    expect(holding.realisedAtoms).toBe(0n);
  });

  it("comes back from a refunded withdrawal as it went, with its cost", () => {
    const before = [flow(ETH), buy(2n * ETH, 6_000n * USDC)];
    const holding = eth(...before, flow(-2n * ETH, "w"), flow(2n * ETH, "w", "ETH", true));
    expect(holding).toEqual(eth(...before));
  });

  it("comes from a refund that nobody knows the withdrawal of", () => {
    expect(eth(flow(ETH, "x", "ETH", true)).unknownAtoms).toBe(ETH);
  });

  it("never goes below nothing, when history began before the first event", () => {
    const holding = eth(sell(ETH, 3_000n * USDC), flow(-ETH, "w"));
    expect(holding.unknownAtoms).toBe(0n);
    expect(holding.knownAtoms).toBe(0n);
    expect(holding.realisedAtoms).toBe(0n);
    expect(holding.soldUnknownAtoms).toBe(3_000n * USDC);
  });
});

describe("coins for coins", () => {
  const BTC = 10n ** 8n;

  it("carry their cost over, without profit", () => {
    const holdings = averageCost(
      [buy(20n * ETH, 60_000n * USDC), trade("buy", BTC, 20n * ETH - ETH / 100n, ETH / 100n, ["WBTC", "ETH"])],
      "USDC",
    );
    expect(holdings.get("ETH")).toMatchObject({ knownAtoms: 0n, costAtoms: 0n, realisedAtoms: 0n });
    expect(holdings.get("WBTC")).toMatchObject({ knownAtoms: BTC, costAtoms: 60_000n * USDC, unknownAtoms: 0n });
  });

  it("stay of unknown cost as far as what was given is", () => {
    const holdings = averageCost(
      [flow(10n * ETH), buy(10n * ETH, 30_000n * USDC), trade("buy", BTC, 20n * ETH, 0n, ["WBTC", "ETH"])],
      "USDC",
    );
    expect(holdings.get("WBTC")).toMatchObject({ knownAtoms: BTC / 2n, unknownAtoms: BTC / 2n, costAtoms: 30_000n * USDC });
  });

  it("take the fee off what a sale of a coin brings", () => {
    const holdings = averageCost([flow(BTC, "d", "WBTC"), trade("sell", BTC, 20n * ETH, ETH, ["WBTC", "ETH"])], "USDC");
    expect(holdings.get("ETH")).toMatchObject({ unknownAtoms: 19n * ETH, knownAtoms: 0n });
  });

  it("count for money where the quote asset is the base of the market", () => {
    const holdings = averageCost([trade("sell", 3_000n * USDC, ETH, 0n, ["USDC", "ETH"]), trade("buy", 3_100n * USDC, ETH, 0n, ["USDC", "ETH"])], "USDC");
    expect(holdings.get("ETH")).toMatchObject({ knownAtoms: 0n, realisedAtoms: 100n * USDC });
  });

  it("leave the quote asset itself out", () => {
    expect(averageCost([flow(5n, "d", "USDC")], "USDC").size).toBe(0);
  });
});
