import { expect, it } from "vitest";

import { BookStore } from "./book-store";
import { type BookData, type LevelText, OrderBook } from "./order-book";

const MARKET = { symbol: "ETH-USDC", tick: "0.05", tickDecimals: 2, lotDecimals: 4 };
const ASKS: LevelText[] = [["3001", "0.25"]];

/** With the checksum that the book has after it. */
function data(bids: LevelText[], asks: LevelText[] = ASKS): BookData {
  const book = new OrderBook(2, 4);
  book.replace({ bids, asks, checksum: 0 });
  return { bids, asks, checksum: book.checksum };
}

function storeWith(bids: LevelText[]): BookStore {
  const store = new BookStore(MARKET);
  store.take({ kind: "snapshot", seq: 1, timeMs: 0, data: data(bids) });
  store.version += 1;
  return store;
}

it("shows groups in steps of the tick, which need not be a power of ten", () => {
  const view = storeWith([["3000.05", "1"]]).view(10n, 5); // steps of 0.5
  expect(view).toMatchObject({ state: "live", spread: "0.95", mid: "3000.525" });
  expect(view.bids).toEqual([{ price: "3000.00", size: "1.0000", total: "1.0000", share: 1_000 }]);
});

it("shows the same object until something is published", () => {
  const store = storeWith([["3000", "1"]]);
  const before = store.view(1n, 5);
  expect(store.view(1n, 5)).toBe(before);
  store.version += 1;
  expect(store.view(1n, 5)).not.toBe(before);
});

it("takes no update to a book that is not the exchange's, until a snapshot comes", () => {
  const store = storeWith([["3000", "1"]]);
  store.take({ kind: "update", seq: 2, timeMs: 0, data: { bids: [["3000", "2"]], asks: [], checksum: 1 } });
  expect(store.state).toBe("stale");
  store.take({ kind: "update", seq: 3, timeMs: 0, data: { bids: [["3000", "0"]], asks: [], checksum: 2 } });
  store.version += 1;
  expect(store.view(1n, 5).bids[0]?.size).toBe("2.0000");
  store.take({ kind: "snapshot", seq: 4, timeMs: 0, data: data([["3000", "3"]]) });
  store.version += 1;
  expect(store.view(1n, 5)).toMatchObject({ state: "live", bids: [{ size: "3.0000" }] });
});

it("gives levels as they were sent, for estimates", () => {
  const store = storeWith([
    ["3000", "1"],
    ["2999.5", "0.5"],
  ]);
  expect(store.levels(1)).toEqual({ state: "live", bids: [["3000", "1"]], asks: [["3001", "0.25"]] });
});
