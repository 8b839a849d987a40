/** An order as it is typed, what is around it, and what can be told of it without its size. */

import { compare } from "../numbers";
import { bandTicks, type MarketRules, parseSteps, referenceTicks, type Stepped, ticksOf } from "./market-rules";
import type { Levels } from "./order-estimate";

export type Side = "buy" | "sell";
export type Kind = "limit" | "market" | "stop";
export type TimeInForce = "gtc" | "post_only" | "ioc" | "fok" | "gtt";
export type DraftField = "price" | "trigger" | "size" | "goodTill" | "order";

export interface OrderDraft {
  readonly side: Side;
  readonly kind: Kind;
  /** Of a stop: what it becomes when its trigger is met. */
  readonly then: "limit" | "market";
  readonly timeInForce: TimeInForce;
  readonly price: string;
  readonly trigger: string;
  /** The size is typed in the base asset, or as a total in the quote asset. */
  readonly unit: "base" | "quote";
  readonly size: string;
  /** As a field for local date and time has it: "2026-11-29T18:30". */
  readonly goodTill: string;
}

export function newDraft(): OrderDraft {
  return {
    side: "buy",
    kind: "limit",
    then: "market",
    timeInForce: "gtc",
    price: "",
    trigger: "",
    unit: "base",
    size: "",
    goodTill: "",
  };
}

/** What the market is now. Levels are [price, size], best first. */
export interface Surroundings {
  readonly rules: MarketRules;
  readonly bids: Levels;
  readonly asks: Levels;
  readonly lastPrice: string | null;
  /** What may be spent of each; null while nobody is signed in. */
  readonly available: { readonly base: string; readonly quote: string } | null;
  readonly nowMs: number;
}

export interface DraftError {
  readonly field: DraftField;
  readonly code: string;
  readonly text: string;
  /** Values to take instead. */
  readonly nearest: readonly string[];
}

export interface DraftWarning {
  readonly field: DraftField;
  readonly text: string;
}

/** The words that may be chosen for how long an order stands. */
export function timesInForce(draft: OrderDraft): readonly TimeInForce[] {
  return becomesMarket(draft) ? ["ioc", "fok"] : ["gtc", "post_only", "ioc", "fok", "gtt"];
}

/** The chosen word, or the usual one where the chosen does not go with the kind of order. */
export function effectiveTimeInForce(draft: OrderDraft): TimeInForce {
  const possible = timesInForce(draft);
  return possible.includes(draft.timeInForce) ? draft.timeInForce : (possible[0] ?? "gtc");
}

/** Whether the order has such a field at all: what is wrong with one that is not shown has to be told elsewhere. */
export function hasField(draft: OrderDraft, field: DraftField): boolean {
  switch (field) {
    case "price":
      return !becomesMarket(draft);
    case "trigger":
      return draft.kind === "stop";
    case "goodTill":
      return effectiveTimeInForce(draft) === "gtt";
    case "size":
    case "order":
      return true;
  }
}

export function becomesMarket(draft: OrderDraft): boolean {
  return draft.kind === "market" || (draft.kind === "stop" && draft.then === "market");
}

/** Which way the last price has to go: a stop away from where a trade would be better, a take-profit towards it. */
export function triggerType(draft: OrderDraft, triggerPrice: string, lastPrice: string | null): "stop" | "take_profit" {
  if (lastPrice === null) return "stop";
  const above = compare(triggerPrice, lastPrice) > 0;
  return above === (draft.side === "buy") ? "stop" : "take_profit";
}

/** The levels that the order would meet. */
export function opposite(draft: OrderDraft, around: Surroundings): Levels {
  return draft.side === "buy" ? around.asks : around.bids;
}

/** The market's price as the engine sees it. */
export function marketTicks({ rules, bids, asks, lastPrice }: Surroundings): bigint | null {
  const best = (levels: Levels) => (levels[0] === undefined ? null : ticksOf(levels[0][0], rules));
  return referenceTicks(lastPrice === null ? null : ticksOf(lastPrice, rules), best(bids), best(asks));
}

/** The worst price at which it may trade: its limit, or the band that the engine will set; null: not known yet. */
export function worstTicks(draft: OrderDraft, around: Surroundings): bigint | null {
  const { rules } = around;
  if (!becomesMarket(draft)) return stepsOrNull(draft.price, rules.tick);
  const reference = draft.kind === "stop" ? stepsOrNull(draft.trigger, rules.tick) : marketTicks(around);
  return reference === null ? null : bandTicks(draft.side, reference, rules.marketBandBps);
}

export function stepsOrNull(text: string, step: string): bigint | null {
  const read = parseSteps(text, step);
  return read.ok ? read.steps : null;
}

export function fault(
  field: DraftField,
  code: string,
  text: string,
  nearest: readonly string[] = [],
): DraftError {
  return { field, code, text, nearest };
}

const ASKED = { price: "Enter a price", trigger: "Enter a trigger price", size: "Enter how much" } as const;

/** What is wrong with a typed price or size; null when nothing is. `step` and `asset` are for the words. */
export function faultOf(
  read: Stepped,
  field: "price" | "trigger" | "size",
  step: string,
  asset: string,
): DraftError | null {
  if (read.ok) return null;
  switch (read.fault) {
    case "missing":
      return fault(field, "field_missing", ASKED[field]);
    case "not_a_decimal":
      return fault(field, "not_a_decimal", "Digits with at most one point, such as 1250.5");
    case "must_be_positive":
      return fault(field, "must_be_positive", "More than zero, please");
    case "too_many_decimals":
      return fault(field, "too_many_decimals", `Steps of ${step} ${asset}:`, read.nearest);
    case "off_step": {
      const code = field === "size" ? "size_off_lot" : "price_off_tick";
      return fault(field, code, `Steps of ${step} ${asset}:`, read.nearest);
    }
  }
}
