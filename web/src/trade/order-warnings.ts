/** What may be sent, but is likely not meant, or will be refused if the market stays as it is. */

import { bandTicks, parseSteps, priceOf, sizeOf, ticksOf } from "./market-rules";
import {
  becomesMarket,
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
  const found = [priceWarning(draft, around), sizeWarning(draft, size, estimate, around)];
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
      return { field: "price", text: `Post-only is refused here: stay ${buys ? "below" : "above"} ${best[0]}` };
    }
  }
  const reference = marketTicks(around);
  if (reference === null || rules.priceBandBps === 0) return null;
  const limit = bandTicks(draft.side, reference, rules.priceBandBps);
  if (buys ? price.steps <= limit : price.steps >= limit) return null;
  return { field: "price", text: `Too far from the market: the ${buys ? "most" : "least"} is ${priceOf(limit, rules)}` };
}

function sizeWarning(
  draft: OrderDraft,
  size: Size | null,
  estimate: Estimate | null,
  around: Surroundings,
): DraftWarning | null {
  if (size === null || !("lots" in size) || draft.kind === "stop") return null;
  if (estimate === null || estimate.unfilledLots === 0n) return null;
  const { rules } = around;
  const now = `Only ${sizeOf(size.lots - estimate.unfilledLots, rules)} ${rules.base} can be had now`;
  if (effectiveTimeInForce(draft) === "fok") return { field: "size", text: `${now}: all or none is refused` };
  return { field: "size", text: becomesMarket(draft) ? `${now}, the rest is not traded` : `${now} at this price` };
}
