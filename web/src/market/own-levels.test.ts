import { describe, expect, it } from "vitest";

import { groupLevels, rowsOf } from "./grouping";
import { OrderBook } from "./order-book";
import { type OwnOrder, ownLevels } from "./own-levels";

const DECIMALS = { price: 2, size: 4 };
const buy = (price: string, remaining: string): OwnOrder => ({ side: "buy", price, remaining });
const sell = (price: string, remaining: string): OwnOrder => ({ side: "sell", price, remaining });

describe("one's own levels", () => {
  it("are by the price that their row shows, of one side only", () => {
    const orders = [buy("2990", "0.5"), buy("2990", "0.25"), buy("2989.5", "1"), sell("3000.1", "2")];
    expect([...ownLevels(orders, "bid", 1n, DECIMALS)]).toEqual([
      ["2990.00", "0.75"],
      ["2989.50", "1"],
    ]);
    expect([...ownLevels(orders, "ask", 1n, DECIMALS)]).toEqual([["3000.10", "2"]]);
  });

  it("are put together as the rows are: bids down, asks up", () => {
    const orders = [buy("2990.99", "0.5"), buy("2990.01", "0.5"), sell("3000.01", "1"), sell("3001", "1")];
    expect([...ownLevels(orders, "bid", 100n, DECIMALS)]).toEqual([["2990.00", "1"]]);
    expect([...ownLevels(orders, "ask", 100n, DECIMALS)]).toEqual([["3001.00", "2"]]);
  });

  it("are found in the very rows that the book shows", () => {
    const book = new OrderBook(2, 4);
    book.apply({ bids: [["2990.57", "0.5"], ["2981", "3"]], asks: [["3000.01", "1"]], checksum: 0 });
    for (const step of [1n, 10n, 100n, 1_000n]) {
      const { bids, asks } = rowsOf(
        groupLevels(book.bids(), "bid", step, 9),
        groupLevels(book.asks(), "ask", step, 9),
        DECIMALS,
      );
      expect(ownLevels([buy("2990.57", "0.5")], "bid", step, DECIMALS).get(bids[0]?.price ?? "")).toBe("0.5");
      expect(ownLevels([sell("3000.01", "1")], "ask", step, DECIMALS).get(asks[0]?.price ?? "")).toBe("1");
    }
  });
});
