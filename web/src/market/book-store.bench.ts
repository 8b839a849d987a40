/** How many messages a second the book takes in, and what a frame costs: the page has to keep up with 1,500. */

import { bench, describe } from "vitest";

import { fromUnits } from "../numbers";
import { BookStore } from "./book-store";
import { type BookData, type LevelText, OrderBook } from "./order-book";

const MARKET = { symbol: "ETH-USDC", tick: "0.01", tickDecimals: 2, lotDecimals: 4 };
const LEVELS = 500;

/** Both sides, `LEVELS` each, around 3000. */
function snapshot(): BookData {
  const side = (sign: bigint): LevelText[] =>
    Array.from({ length: LEVELS }, (_, at) => [fromUnits(300_000n + sign * BigInt(at + 1), 2), "1.5"] as const);
  const [bids, asks] = [side(-1n), side(1n)];
  const book = new OrderBook(2, 4);
  book.replace({ bids, asks, checksum: 0 });
  return { bids, asks, checksum: book.checksum };
}

/** Levels near the best come, change and go; with the checksums that the exchange would send. */
function updates(count: number): BookData[] {
  const book = new OrderBook(2, 4);
  book.replace(snapshot());
  return Array.from({ length: count }, (_, step) => {
    const near = BigInt(1 + ((step * 7) % 40));
    const size = step % 5 === 0 ? "0" : fromUnits(BigInt(1 + ((step * 31) % 90_000)), 4);
    const changes = {
      bids: [[fromUnits(300_000n - near, 2), size] as const],
      asks: [[fromUnits(300_000n + near, 2), size] as const],
    };
    book.apply({ ...changes, checksum: 0 });
    return { ...changes, checksum: book.checksum };
  });
}

describe("a book of 1,000 levels", () => {
  const store = new BookStore(MARKET);
  store.take({ kind: "snapshot", seq: 0, timeMs: 0, data: snapshot() });
  const all = updates(1_500);

  bench("1,500 messages, two levels each, checksum compared", () => {
    store.take({ kind: "snapshot", seq: 0, timeMs: 0, data: snapshot() });
    for (const data of all) store.take({ kind: "update", seq: 0, timeMs: 0, data });
    if (store.state !== "live") throw new Error("a checksum differs");
  });

  bench("one frame: 15 rows a side, groups of 0.1", () => {
    store.version += 1;
    store.view(10n, 15);
  });
});
