/**
 * What may be sent, but is likely not meant, or will be refused if the market stays as it is. The words have no number
 * that moves with the book, for they are read out whenever they change.
 */

import { bandTicks, parseSteps, ticksOf } from "./market-rules";
import {
  type DraftWarning,
  effectiveTimeInForce,
  marketTicks,
  opposite,
  type OrderDraft,
  type Surroundings,
} from "./order-draft";
import type { Estimate } from "./order-estimate";
import type { Size } from "./order-size";

export function warningsOf(
  draft: OrderDraft,
  size: Size | null,
  estimate: Estimate | null,
  around: Surroundings,
): DraftWarning[] {
  const found = [priceWarning(draft, around), sizeWarning(draft, size, estimate)];
  return found.filter((warning) => warning !== null);
}

function priceWarning(draft: OrderDraft, around: Surroundings): DraftWarning | null {
  const { rules } = around;
  const price = parseSteps(draft.price, rules.tick);
  if (draft.kind !== "limit" || !price.ok) return null;
  const buys = draft.side === "buy";
  const best = opposite(draft, around)[0];
  if (effectiveTimeInForce(draft) === "post_only" && best !== undefined) {
    const ticks = ticksOf(best[0], rules);
    if (buys ? price.steps >= ticks : price.steps <= ticks) {
      return { field: "price", text: `Would trade at once, so post-only refuses it: price ${buys ? "lower" : "higher"}` };
    }
  }
  const reference = marketTicks(around);
  if (reference === null || rules.priceBandBps === 0) return null;
  const limit = bandTicks(draft.side, reference, rules.priceBandBps);
  if (buys ? price.steps <= limit : price.steps >= limit) return null;
  return { field: "price", text: `Too far from the market: price ${buys ? "lower" : "higher"}` };
}

function sizeWarning(
  draft: OrderDraft,
  size: Size | null,
  estimate: Estimate | null,
): DraftWarning | null {
  if (size === null || !("lots" in size) || draft.kind === "stop") return null;
  if (estimate === null || estimate.unfilledLots === 0n) return null;
  if (effectiveTimeInForce(draft) === "fok") return { field: "size", text: "More than there is now: it would be refused" };
  return { field: "size", text: "More than there is now: the rest is not traded" };
}
