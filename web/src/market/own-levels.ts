/** Where in the book one's own orders stand, by the rows as they are shown. */

import { fromUnits, toUnits, withDecimals } from "../numbers";
import { type Decimals, groupOf } from "./grouping";

/** An order that stands in the book, and what of it is still open. */
export interface OwnOrder {
  readonly side: "buy" | "sell";
  readonly price: string;
  readonly remaining: string;
}

/** One's own size by a row's price, for the rows that have any. */
export type OwnLevels = ReadonlyMap<string, string>;

export const NO_OWN: OwnLevels = new Map();

/** Of one side, put together as its rows are: in steps of `stepUnits`. */
export function ownLevels(
  orders: readonly OwnOrder[],
  side: "bid" | "ask",
  stepUnits: bigint,
  decimals: Decimals,
): OwnLevels {
  const sums = new Map<bigint, bigint>();
  for (const order of orders) {
    if ((order.side === "buy") !== (side === "bid")) continue;
    const group = groupOf(toUnits(order.price, decimals.price), side, stepUnits);
    sums.set(group, (sums.get(group) ?? 0n) + toUnits(order.remaining, decimals.size));
  }
  if (sums.size === 0) return NO_OWN;
  return new Map(
    Array.from(sums, ([group, size]) => [
      withDecimals(fromUnits(group, decimals.price), decimals.price),
      fromUnits(size, decimals.size),
    ]),
  );
}
