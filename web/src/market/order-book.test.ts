import { crc32 as zlibCrc32 } from "node:zlib";

import { describe, expect, it } from "vitest";

import { compare } from "../numbers";
import { crc32 } from "./crc32";
import { type LevelText, OrderBook } from "./order-book";

const BIDS: LevelText[] = [
  ["3000.01", "1.5"],
  ["3000", "2"],
];
const ASKS: LevelText[] = [["3001", "0.25"]];
const TEXT = "3000.01:1.5,3000:2,3001:0.25";

/** A book kept by sorting, which is slow and plainly right. */
class Model {
  bids = new Map<string, string>();
  asks = new Map<string, string>();

  set(side: "bids" | "asks", price: string, size: string): void {
    if (size === "0") this[side].delete(price);
    else this[side].set(price, size);
  }

  sorted(side: "bids" | "asks"): LevelText[] {
    const sign = side === "bids" ? -1 : 1;
    return [...this[side]].sort(([one], [other]) => sign * compare(one, other));
  }

  get checksum(): number {
    const best = [...this.sorted("bids").slice(0, 25), ...this.sorted("asks").slice(0, 25)];
    return zlibCrc32(best.map(([price, size]) => `${price}:${size}`).join(","));
  }
}

/** The same numbers each time (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

describe("the checksum", () => {
  it("is CRC-32 as zlib has it", () => {
    expect(crc32("123456789")).toBe(0xcbf43926);
    expect(crc32("56789", crc32("1234"))).toBe(0xcbf43926);
    expect(crc32("")).toBe(0);
  });

  it("is that of the documentation", () => {
    const book = new OrderBook(2, 2);
    expect(book.replace({ bids: BIDS, asks: ASKS, checksum: zlibCrc32(TEXT) })).toBe(true);
    expect(book.checksum).toBe(zlibCrc32(TEXT));
  });

  it("tells a book that is not the exchange's", () => {
    const book = new OrderBook(2, 2);
    book.replace({ bids: BIDS, asks: ASKS, checksum: zlibCrc32(TEXT) });
    expect(book.apply({ bids: [["3000", "2.1"]], asks: [], checksum: zlibCrc32(TEXT) })).toBe(false);
  });

  it("of an empty book is 0", () => {
    expect(new OrderBook(2, 2).replace({ bids: [], asks: [], checksum: 0 })).toBe(true);
  });
});

describe("a book", () => {
  it("has the best first, and what lies between, exactly", () => {
    const book = new OrderBook(2, 2);
    book.replace({ bids: BIDS, asks: ASKS, checksum: 0 });
    expect([...book.bids()].map((level) => level.price)).toEqual(["3000.01", "3000"]);
    expect([book.spread, book.mid, book.spreadBps]).toEqual(["0.99", "3000.505", 3n]);
  });

  it("has nothing between when a side is empty", () => {
    const book = new OrderBook(2, 2);
    book.replace({ bids: BIDS, asks: [], checksum: 0 });
    expect([book.spread, book.mid, book.spreadBps]).toEqual([null, null, null]);
  });

  it("takes the end of a level that it never had", () => {
    const book = new OrderBook(2, 2);
    book.replace({ bids: BIDS, asks: ASKS, checksum: 0 });
    expect(book.apply({ bids: [["1", "0"]], asks: [["9999", "0"]], checksum: zlibCrc32(TEXT) })).toBe(true);
  });

  it.each([1, 2, 3, 4, 5])("after any updates equals one kept by sorting (seed %i)", (seed) => {
    const random = randomFrom(seed);
    const model = new Model();
    const book = new OrderBook(2, 1);
    book.replace({ bids: [], asks: [], checksum: 0 });
    for (let step = 0; step < 150; step += 1) {
      const changes: { bids: LevelText[]; asks: LevelText[] } = { bids: [], asks: [] };
      for (const side of ["bids", "asks"] as const) {
        const changed = new Map<string, string>();
        for (let n = random(6); n > 0; n -= 1) {
          const quarters = 1 + random(160);
          const price = `${Math.floor(quarters / 4)}${["", ".25", ".5", ".75"][quarters % 4] ?? ""}`;
          changed.set(price, ["0", "0.5", String(1 + random(9))][random(3)] ?? "0");
        }
        for (const [price, size] of changed) model.set(side, price, size);
        changes[side] = [...changed];
      }
      expect(book.apply({ ...changes, checksum: model.checksum })).toBe(true);
    }
    const texts = (levels: Iterable<{ price: string; size: string }>): LevelText[] =>
      [...levels].map(({ price, size }) => [price, size] as const);
    expect(texts(book.bids())).toEqual(model.sorted("bids"));
    expect(texts(book.asks())).toEqual(model.sorted("asks"));
    const again = new OrderBook(2, 1);
    expect(again.replace({ bids: model.sorted("bids"), asks: model.sorted("asks"), checksum: model.checksum })).toBe(true);
    expect(texts(again.bids())).toEqual(model.sorted("bids"));
  });
});
