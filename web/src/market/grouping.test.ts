import { describe, expect, it } from "vitest";

import { groupChoices, groupLevels, rowsOf, stepText } from "./grouping";
import { type LevelText, OrderBook } from "./order-book";

const DECIMALS = { price: 2, size: 4 };

function bookOf(bids: LevelText[], asks: LevelText[]): OrderBook {
  const book = new OrderBook(DECIMALS.price, DECIMALS.size);
  book.replace({ bids, asks, checksum: 0 });
  return book;
}

function rows(book: OrderBook, stepUnits: bigint, count = 10) {
  return rowsOf(
    groupLevels(book.bids(), "bid", stepUnits, count),
    groupLevels(book.asks(), "ask", stepUnits, count),
    DECIMALS,
  );
}

describe("groups", () => {
  const book = bookOf(
    [
      ["2990", "4.5"],
      ["2985.5", "1"],
      ["2980", "0.5"],
    ],
    [
      ["3000", "4.8"],
      ["3000.01", "0.2"],
      ["3010", "5"],
    ],
  );

  it("round bids down and asks up, and add sizes", () => {
    const { bids, asks } = rows(book, 1_000n); // 10
    expect(bids.map((row) => [row.price, row.size])).toEqual([
      ["2990.00", "4.5000"],
      ["2980.00", "1.5000"],
    ]);
    expect(asks.map((row) => [row.price, row.size])).toEqual([
      ["3000.00", "4.8000"],
      ["3010.00", "5.2000"],
    ]);
  });

  it("add up from the best on; bars of both sides share a scale", () => {
    const { bids, asks } = rows(book, 1n);
    expect(bids.map((row) => row.total)).toEqual(["4.5000", "5.5000", "6.0000"]);
    expect(asks.at(-1)).toMatchObject({ total: "10.0000", share: 1_000 });
    expect(bids.at(-1)?.share).toBe(600);
  });

  it("are whole, also the last one shown", () => {
    const { bids, asks } = rows(book, 1_000n, 2);
    expect(bids[1]?.size).toBe("1.5000");
    expect(asks[1]?.size).toBe("5.2000");
    expect(rows(book, 1n, 1).asks).toHaveLength(1);
  });

  it("of an empty book are none", () => {
    expect(rows(bookOf([], []), 1n)).toEqual({ bids: [], asks: [] });
  });
});

describe("choices", () => {
  it("go up in tens as long as they are fine for the price", () => {
    expect(groupChoices("0.01", 2, "3000")).toEqual([1n, 10n, 100n, 1_000n]);
    expect(groupChoices("0.5", 1, "20")).toEqual([1n]);
    expect(groupChoices("0.01", 2, null)).toEqual([1n, 10n, 100n]);
  });

  it("are told as prices", () => {
    expect(stepText("0.01", 2, 100n)).toBe("1");
    expect(stepText("0.5", 1, 1n)).toBe("0.5");
  });
});
