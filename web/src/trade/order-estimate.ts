/** What an order would come to against the book as it stands: average price, fee, total. Exact, as the engine rounds. */

import { divCeil, divFloor, fromUnits } from "../numbers";
import {
  feeAtoms,
  lotsOf,
  type MarketRules,
  notionalAtoms,
  notionalForAmount,
  priceOf,
  sizeOf,
  ticksOf,
  unitAtoms,
} from "./market-rules";

/** One side of a book: [price, size], best first. */
export type Levels = readonly (readonly [price: string, size: string])[];

/** What is taken from a book. */
export interface Walked {
  readonly lots: bigint;
  readonly notional: bigint;
  /** The worst price that is touched; null when none is. */
  readonly lastTicks: bigint | null;
}

export const NOTHING_MET: Walked = { lots: 0n, notional: 0n, lastTicks: null };

/** So many lots, or as many whole lots as so much money buys (with the taker's fee, or without). */
export type Wanted = { readonly lots: bigint } | { readonly atoms: bigint; readonly withFee: boolean };

/** Takes from the best price on, down to the worst; by money, the first level that is not taken whole is the last. */
export function walk(levels: Levels, side: "buy" | "sell", worst: bigint, wanted: Wanted, rules: MarketRules): Walked {
  const unit = unitAtoms(rules);
  let { lots, notional, lastTicks } = NOTHING_MET;
  let left = "lots" in wanted ? wanted.lots : wanted.withFee ? notionalForAmount(wanted.atoms, rules) : wanted.atoms;
  for (const [price, size] of levels) {
    const ticks = ticksOf(price, rules);
    if (side === "buy" ? ticks > worst : ticks < worst) break;
    const offered = lotsOf(size, rules);
    const each = "lots" in wanted ? 1n : ticks * unit;
    const some = left / each < offered ? left / each : offered;
    if (some > 0n) {
      lots += some;
      notional += notionalAtoms(ticks, some, rules);
      lastTicks = ticks;
      left -= some * each;
    }
    if (some < offered) break;
  }
  return { lots, notional, lastTicks };
}

export interface Estimate {
  /** In the base asset: what would be traded, now or at the limit. */
  readonly size: string;
  /** Before the fee, in the quote asset. */
  readonly notional: string;
  /** Negative: a rebate. */
  readonly fee: string;
  /** What a buy costs, what a sell brings, fee included. */
  readonly total: string;
  /** For one, rounded to the tick against the person; null when nothing is traded. */
  readonly averagePrice: string | null;
  /** The worst price that would be touched now. */
  readonly worstPrice: string | null;
  /** The furthest price that it may trade at. */
  readonly limitPrice: string;
  readonly unfilledLots: bigint;
  /** How much of it would trade at once. */
  readonly takes: "all" | "some" | "nothing";
}

export interface ToEstimate {
  readonly side: "buy" | "sell";
  /** What it takes at once. */
  readonly met: Walked;
  /** Where the rest stands; null when it does not. */
  readonly restsAt: bigint | null;
  readonly lots: bigint;
  readonly limit: bigint;
  readonly rules: MarketRules;
}

export function estimate({ side, met, restsAt, lots, limit, rules }: ToEstimate): Estimate {
  const resting = restsAt === null ? 0n : lots - met.lots;
  const restNotional = restsAt === null ? 0n : notionalAtoms(restsAt, resting, rules);
  const notional = met.notional + restNotional;
  const fee = feeAtoms(met.notional, restNotional, rules);
  const traded = met.lots + resting;
  const text = (atoms: bigint) => fromUnits(atoms, rules.quoteDecimals);
  return {
    size: sizeOf(traded, rules),
    notional: text(notional),
    fee: text(fee),
    total: text(side === "buy" ? notional + fee : notional - fee),
    averagePrice: traded === 0n ? null : priceOf(averageTicks(side, notional, traded, rules), rules),
    worstPrice: met.lastTicks === null ? null : priceOf(met.lastTicks, rules),
    limitPrice: priceOf(limit, rules),
    unfilledLots: lots - traded,
    takes: met.lots === 0n ? "nothing" : met.lots === lots ? "all" : "some",
  };
}

function averageTicks(side: "buy" | "sell", notional: bigint, lots: bigint, rules: MarketRules): bigint {
  const divisor = lots * unitAtoms(rules);
  return side === "buy" ? divCeil(notional, divisor) : divFloor(notional, divisor);
}
