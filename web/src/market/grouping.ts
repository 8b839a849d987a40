/** Levels put together by a step of price: bids rounded down and asks up, so no group looks better than it is. */

import { divCeil, divFloor, fromUnits, toUnits, withDecimals } from "../numbers";
import type { Level } from "./order-book";

/** What a row of the book shows. */
export interface BookRow {
  readonly price: string;
  readonly size: string;
  /** All sizes from the best row to this one. */
  readonly total: string;
  /** `total` in thousandths of the largest total shown: only good for the width of a bar. */
  readonly share: number;
}

interface Group {
  priceUnits: bigint;
  sizeUnits: bigint;
}

export interface Decimals {
  price: number;
  size: number;
}

/** The price of the group that a price is in. */
export function groupOf(priceUnits: bigint, side: "bid" | "ask", stepUnits: bigint): bigint {
  const steps = side === "bid" ? divFloor(priceUnits, stepUnits) : divCeil(priceUnits, stepUnits);
  return steps * stepUnits;
}

/** The best `count` groups, the best first. `levels` come best first. */
export function groupLevels(levels: Iterable<Level>, side: "bid" | "ask", stepUnits: bigint, count: number): Group[] {
  const groups: Group[] = [];
  let last: Group | undefined;
  for (const level of levels) {
    const priceUnits = groupOf(level.priceUnits, side, stepUnits);
    if (last !== undefined && last.priceUnits === priceUnits) {
      last.sizeUnits += level.sizeUnits;
      continue;
    }
    if (groups.length === count) break;
    last = { priceUnits, sizeUnits: level.sizeUnits };
    groups.push(last);
  }
  return groups;
}

/** Rows of both sides; their bars share one scale, so that the sides can be compared. */
export function rowsOf(bids: Group[], asks: Group[], decimals: Decimals): { bids: BookRow[]; asks: BookRow[] } {
  const sum = (groups: Group[]): bigint => groups.reduce((total, group) => total + group.sizeUnits, 0n);
  const [ofBids, ofAsks] = [sum(bids), sum(asks)];
  const largest = ofBids > ofAsks ? ofBids : ofAsks;
  return { bids: rows(bids, largest, decimals), asks: rows(asks, largest, decimals) };
}

function rows(groups: Group[], largest: bigint, decimals: Decimals): BookRow[] {
  let total = 0n;
  return groups.map((group) => {
    total += group.sizeUnits;
    return {
      price: withDecimals(fromUnits(group.priceUnits, decimals.price), decimals.price),
      size: withDecimals(fromUnits(group.sizeUnits, decimals.size), decimals.size),
      total: withDecimals(fromUnits(total, decimals.size), decimals.size),
      share: largest === 0n ? 0 : Number((total * 1_000n) / largest),
    };
  });
}

const COARSEST = 100_000n;

/**
 * Steps to choose from, in ticks: 1, 10, 100, ..., as long as a step is less than a fiftieth of the price. Of a
 * market without a price, the finest three.
 */
export function groupChoices(tick: string, tickDecimals: number, price: string | null): bigint[] {
  const choices: bigint[] = [];
  const tickUnits = toUnits(tick, tickDecimals);
  const priceUnits = price === null ? null : toUnits(withDecimals(price, tickDecimals), tickDecimals);
  for (let ticks = 1n; ticks <= COARSEST; ticks *= 10n) {
    const isFine = priceUnits === null ? choices.length < 3 : ticks * tickUnits * 50n <= priceUnits;
    if (ticks === 1n || isFine) choices.push(ticks);
  }
  return choices;
}

/** A step as a price: 100 ticks of 0.01 are "1". */
export function stepText(tick: string, tickDecimals: number, ticks: bigint): string {
  return fromUnits(toUnits(tick, tickDecimals) * ticks, tickDecimals);
}
