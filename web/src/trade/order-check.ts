/**
 * What becomes of an order as it is typed: a request, or what is wrong beside which field. All of it is exact; the
 * exchange checks again.
 */

import type { Schemas } from "../api/client";
import { fromUnits } from "../numbers";
import { type MarketRules, parseSteps, priceOf, sizeOf, ticksOf } from "./market-rules";
import {
  becomesMarket,
  type DraftError,
  type DraftWarning,
  effectiveTimeInForce,
  fault,
  faultOf,
  type OrderDraft,
  stepsOrNull,
  type Surroundings,
  triggerType,
  worstTicks,
} from "./order-draft";
import type { Estimate } from "./order-estimate";
import { estimateOf, fundsFault, holdAtoms, readSize, type Size } from "./order-size";
import { warningsOf } from "./order-warnings";

export interface Checked {
  readonly errors: readonly DraftError[];
  /** What may be, but is likely not meant. */
  readonly warnings: readonly DraftWarning[];
  readonly estimate: Estimate | null;
  /** What it would set aside: of a buy in the quote asset, of a sell in the base asset. */
  readonly hold: string | null;
  /** Null while there are errors. The id of the order is added when it is sent. */
  readonly request: OrderRequest | null;
}

type PlaceRequest = Schemas["PlaceOrderRequest"];
export type OrderRequest = Pick<PlaceRequest, "market" | "side"> & Partial<Omit<PlaceRequest, "market" | "side">>;

export function check(draft: OrderDraft, around: Surroundings): Checked {
  const { rules } = around;
  const errors: DraftError[] = [];
  const note = (fault: DraftError | null): void => {
    if (fault !== null) errors.push(fault);
  };
  note(marketFault(draft, rules));
  if (!becomesMarket(draft)) note(faultOf(parseSteps(draft.price, rules.tick), "price", rules.tick, rules.quote));
  if (draft.kind === "stop") note(triggerFault(draft, around));
  const worst = worstTicks(draft, around);
  if (draft.kind === "market" && worst === null) {
    note(fault("order", "no_reference_price", "There is no price to trade at yet. Place a limit order"));
  }
  const read = readSize(draft, worst, around);
  const size = read.size;
  note(read.fault);
  if (size !== null) note(fundsFault(draft, size, worst, around));
  if (effectiveTimeInForce(draft) === "gtt") note(goodTillFault(draft.goodTill, around.nowMs));

  const estimate = size === null ? null : estimateOf(draft, size, worst, around);
  const hold = size === null ? null : holdAtoms(draft, size, worst, rules);
  const decimals = draft.side === "buy" ? rules.quoteDecimals : rules.baseDecimals;
  return {
    errors,
    warnings: warningsOf(draft, size, estimate, around),
    estimate,
    hold: hold === null ? null : fromUnits(hold, decimals),
    request: errors.length > 0 || size === null ? null : requestOf(draft, size, worst, around),
  };
}

function requestOf(draft: OrderDraft, size: Size, worst: bigint | null, around: Surroundings): OrderRequest {
  const { rules } = around;
  // A market order says the worst price that was shown: by the time it arrives, the exchange's own might be another.
  // What waits for a trigger gets its worst price by that trigger, which is the one shown.
  const price = draft.kind === "stop" && becomesMarket(draft) ? null : worst;
  const trigger = draft.kind === "stop" ? stepsOrNull(draft.trigger, rules.tick) : null;
  const triggerPrice = trigger === null ? null : priceOf(trigger, rules);
  const tif = effectiveTimeInForce(draft);
  return {
    market: rules.symbol,
    side: draft.side,
    type: becomesMarket(draft) ? "market" : "limit",
    time_in_force: tif,
    ...(price === null ? {} : { price: priceOf(price, rules) }),
    ...("lots" in size ? { size: sizeOf(size.lots, rules) } : { amount: fromUnits(size.amount, rules.quoteDecimals) }),
    ...(tif === "gtt" ? { good_till_ms: new Date(draft.goodTill).getTime() } : {}),
    ...(triggerPrice === null
      ? {}
      : { trigger: { type: triggerType(draft, triggerPrice, around.lastPrice), price: triggerPrice } }),
  };
}

function triggerFault(draft: OrderDraft, around: Surroundings): DraftError | null {
  const { rules, lastPrice } = around;
  const read = parseSteps(draft.trigger, rules.tick);
  if (read.ok && lastPrice !== null && read.steps === ticksOf(lastPrice, rules)) {
    return fault("trigger", "trigger_already_met", "That is the last price. Choose a higher or a lower one");
  }
  return faultOf(read, "trigger", rules.tick, rules.quote);
}

function goodTillFault(text: string, nowMs: number): DraftError | null {
  if (text === "") return fault("goodTill", "field_missing", "Until when should it stand?");
  const time = new Date(text).getTime();
  if (time > nowMs) return null; // not for what is no time either
  return fault("goodTill", "good_till_invalid", "Choose a time that is still to come");
}

function marketFault(draft: OrderDraft, rules: MarketRules): DraftError | null {
  const tif = effectiveTimeInForce(draft);
  const rests = draft.kind === "limit" && tif !== "ioc" && tif !== "fok";
  switch (rules.state) {
    case "open":
      return null;
    case "pre_open":
      return rests ? null : fault("order", "market_pre_open", "Before it opens, the market takes limit orders that stand");
    case "post_only":
      return rests && tif === "post_only"
        ? null
        : fault("order", "market_post_only", "For now the market takes post-only limit orders");
    case "cancel_only":
      return fault("order", "market_cancel_only", "For now the market takes cancellations only");
    case "halted":
      return fault("order", "market_halted", "The market is halted");
  }
}
