/**
 * A market's whole book, put together from a snapshot and the updates after it. No I/O. The exchange's checksum is
 * compared after each message, so a book that is not the exchange's is found at once.
 */

import { fromUnits, toUnits } from "../numbers";
import { crc32 } from "./crc32";

/** Price and size, as they are sent: the checksum is over the very text. */
export type LevelText = readonly [price: string, size: string];

export interface BookData {
  bids: readonly LevelText[];
  asks: readonly LevelText[];
  checksum: number;
}

/** `priceUnits` and `sizeUnits` are whole numbers of the smallest decimal of the market's tick and lot. */
export interface Level {
  readonly price: string;
  readonly size: string;
  readonly priceUnits: bigint;
  readonly sizeUnits: bigint;
  /** As the checksum has it. */
  readonly text: string;
}

const CHECKSUM_LEVELS = 25;

/** One side, its best level last: there most changes happen, and there they move the least. */
class BookSide {
  readonly sorted: Level[] = [];
  private readonly byPrice = new Map<string, Level>();

  constructor(
    private readonly side: "bid" | "ask",
    private readonly decimals: { price: number; size: number },
  ) {}

  clear(): void {
    this.sorted.length = 0;
    this.byPrice.clear();
  }

  apply(levels: readonly LevelText[]): void {
    for (const [price, size] of levels) this.set(price, size);
  }

  /** A snapshot has the best first. */
  replace(levels: readonly LevelText[]): void {
    this.clear();
    for (let at = levels.length - 1; at >= 0; at -= 1) {
      const level = levels[at];
      if (level !== undefined) this.set(...level);
    }
  }

  private set(price: string, size: string): void {
    const before = this.byPrice.get(price);
    if (size === "0") {
      if (before === undefined) return;
      this.byPrice.delete(price);
      this.sorted.splice(this.indexOf(before.priceUnits), 1);
      return;
    }
    const level: Level = {
      price,
      size,
      priceUnits: before?.priceUnits ?? toUnits(price, this.decimals.price),
      sizeUnits: toUnits(size, this.decimals.size),
      text: `${price}:${size}`,
    };
    this.byPrice.set(price, level);
    const at = this.indexOf(level.priceUnits);
    if (before === undefined) this.sorted.splice(at, 0, level);
    else this.sorted[at] = level;
  }

  /** Where a price is, or would have to go. */
  private indexOf(priceUnits: bigint): number {
    let low = 0;
    let high = this.sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const level = this.sorted[middle];
      if (level !== undefined && this.isWorse(level.priceUnits, priceUnits)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private isWorse(one: bigint, other: bigint): boolean {
    return this.side === "bid" ? one < other : one > other;
  }
}

export class OrderBook {
  private readonly bidSide: BookSide;
  private readonly askSide: BookSide;

  constructor(
    readonly priceDecimals: number,
    readonly sizeDecimals: number,
  ) {
    const decimals = { price: priceDecimals, size: sizeDecimals };
    this.bidSide = new BookSide("bid", decimals);
    this.askSide = new BookSide("ask", decimals);
  }

  /** Takes over a whole book; whether it is the exchange's. */
  replace(data: BookData): boolean {
    this.bidSide.replace(data.bids);
    this.askSide.replace(data.asks);
    return this.checksum === data.checksum;
  }

  /** Takes over levels that changed; whether the book still is the exchange's. */
  apply(data: BookData): boolean {
    this.bidSide.apply(data.bids);
    this.askSide.apply(data.asks);
    return this.checksum === data.checksum;
  }

  clear(): void {
    this.bidSide.clear();
    this.askSide.clear();
  }

  get checksum(): number {
    let sum = 0;
    let isFirst = true;
    for (const side of [this.bidSide.sorted, this.askSide.sorted]) {
      const last = Math.max(0, side.length - CHECKSUM_LEVELS);
      for (let at = side.length - 1; at >= last; at -= 1) {
        if (!isFirst) sum = crc32(",", sum);
        isFirst = false;
        sum = crc32(side[at]?.text ?? "", sum);
      }
    }
    return sum;
  }

  get bestBid(): Level | undefined {
    return this.bidSide.sorted.at(-1);
  }

  get bestAsk(): Level | undefined {
    return this.askSide.sorted.at(-1);
  }

  /** From the best level on. */
  *bids(): Generator<Level> {
    yield* fromLast(this.bidSide.sorted);
  }

  *asks(): Generator<Level> {
    yield* fromLast(this.askSide.sorted);
  }

  /** From the best bid to the best ask; null while a side is empty. */
  get spread(): string | null {
    const [bid, ask] = [this.bestBid, this.bestAsk];
    return bid && ask ? fromUnits(ask.priceUnits - bid.priceUnits, this.priceDecimals) : null;
  }

  /** Half way between them, exact: it may have one decimal more than a price. */
  get mid(): string | null {
    const [bid, ask] = [this.bestBid, this.bestAsk];
    return bid && ask ? fromUnits((bid.priceUnits + ask.priceUnits) * 5n, this.priceDecimals + 1) : null;
  }

  /** The spread in hundredths of a percent of the middle, rounded to the nearest; null while a side is empty. */
  get spreadBps(): bigint | null {
    const [bid, ask] = [this.bestBid, this.bestAsk];
    if (!bid || !ask) return null;
    const sum = bid.priceUnits + ask.priceUnits;
    return sum === 0n ? null : ((ask.priceUnits - bid.priceUnits) * 40_000n + sum) / (2n * sum);
  }
}

function* fromLast(levels: readonly Level[]): Generator<Level> {
  for (let at = levels.length - 1; at >= 0; at -= 1) {
    const level = levels[at];
    if (level !== undefined) yield level;
  }
}
