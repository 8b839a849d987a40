/** A changed order as it is typed, and what is to be sent for it: only what differs. */

import { compare } from "../numbers";
import { type MarketRules, parseSteps, priceOf, sizeOf } from "./market-rules";
import type { Order } from "./open-orders";
import { type DraftError, fault, faultOf } from "./order-draft";

export interface AmendDraft {
  readonly price: string;
  /** The whole size, what is filled included. */
  readonly size: string;
}

export type AmendField = "price" | "size";

export interface AmendChange {
  readonly price?: string;
  readonly size?: string;
}

export interface CheckedAmend {
  readonly errors: readonly DraftError[];
  /** Null while there are errors, or when nothing differs. */
  readonly change: AmendChange | null;
  /** Same price and not more than remained. */
  readonly keepsPlace: boolean;
}

/** What the order is now, as fields have it. */
export function amendDraft(order: Order): AmendDraft {
  return { price: order.price ?? "", size: order.size };
}

export type Steps = Pick<MarketRules, "tick" | "lot" | "base" | "quote">;

export function checkAmend(draft: AmendDraft, order: Order, market: Steps): CheckedAmend {
  const errors: DraftError[] = [];
  const price = parseSteps(draft.price, market.tick);
  const size = parseSteps(draft.size, market.lot);
  const priceFault = faultOf(price, "price", market.tick, market.quote);
  const sizeFault = faultOf(size, "size", market.lot, market.base);
  if (priceFault !== null) errors.push(priceFault);
  if (sizeFault !== null) errors.push(sizeFault);
  if (!price.ok || !size.ok) return { errors, change: null, keepsPlace: false };
  const newPrice = priceOf(price.steps, market);
  const newSize = sizeOf(size.steps, market);
  if (compare(newSize, order.filled) <= 0) {
    errors.push(fault("size", "amend_below_filled", `${order.filled} is filled already. To be rid of the rest, cancel`));
    return { errors, change: null, keepsPlace: false };
  }
  const samePrice = order.price !== null && compare(newPrice, order.price) === 0;
  const sameSize = compare(newSize, order.size) === 0;
  return {
    errors,
    change:
      samePrice && sameSize ? null : { ...(samePrice ? {} : { price: newPrice }), ...(sameSize ? {} : { size: newSize }) },
    keepsPlace: samePrice && compare(newSize, order.size) <= 0,
  };
}

export interface CheckedField {
  readonly fault: DraftError | null;
  /** Null while it is wrong, or when it does not differ. */
  readonly change: AmendChange | null;
  readonly keepsPlace: boolean;
}

/** One field alone: nothing else of the order is sent, whatever it was when the field was opened. */
export function checkAmendOf(field: AmendField, text: string, order: Order, market: Steps): CheckedField {
  const { errors, change, keepsPlace } = checkAmend({ ...amendDraft(order), [field]: text }, order, market);
  const fault = errors.find((error) => error.field === field) ?? null;
  const value = change?.[field];
  return { fault, change: fault !== null || value === undefined ? null : { [field]: value }, keepsPlace };
}
