/** What the exchange has refused, in friendly words and beside the field they are about. */

import { ApiProblem, NoAnswer } from "../api/client";
import { SignatureRefused } from "../wallet/signer";
import type { DraftField } from "./order-draft";

export interface Refusal {
  readonly field: DraftField;
  readonly code: string;
  readonly text: string;
  readonly nearest: readonly string[];
}

type Words = readonly [field: DraftField, text: string];

const WORDS: Readonly<Record<string, Words>> = {
  insufficient_funds: ["size", "Not enough available for this order and its fee"],
  amount_buys_nothing: ["size", "Too small to buy the least size at the prices there are now"],
  size_off_lot: ["size", "This size is between two steps of the market"],
  size_out_of_range: ["size", "This size is out of range"],
  amount_too_large: ["size", "This is more than the exchange can count"],
  must_be_positive: ["size", "More than zero, please"],
  price_off_tick: ["price", "This price is between two steps of the market"],
  price_out_of_range: ["price", "This price is out of range"],
  price_outside_band: ["price", "Too far from the market's price"],
  post_only_would_cross: ["price", "It would have traded at once, so post-only has kept it out"],
  fill_or_kill_unfillable: ["size", "So much can not be had at once now. Nothing was traded"],
  no_reference_price: ["price", "There is no market price yet. Place a limit order"],
  trigger_invalid: ["trigger", "This trigger price is out of range"],
  trigger_already_met: ["trigger", "The last price is there already. Choose another trigger, or none"],
  good_till_invalid: ["goodTill", "This time has passed. Choose a later one"],
  amend_below_filled: ["size", "More than that has been filled already. To be rid of the rest, cancel"],
  unknown_order: ["order", "This order is not open any more"],
  too_many_open_orders: ["order", "You have as many open orders as you may have. Cancel some first"],
  too_many_orders_in_market: ["order", "You have as many orders in this market as you may have. Cancel some first"],
  market_pre_open: ["order", "The market is not open yet: it takes limit orders that stand"],
  market_post_only: ["order", "For now the market takes post-only orders only"],
  market_cancel_only: ["order", "For now the market takes cancellations only"],
  market_halted: ["order", "The market is halted"],
  account_cancel_only: ["order", "Your account takes on nothing new for now. You may still cancel and withdraw"],
  account_frozen: ["order", "Your account is frozen. Ask whoever runs this exchange"],
  agent_revoked: ["order", "The key of this browser was revoked. Approve a new one to go on"],
  agent_expired: ["order", "The key of this browser has expired. Approve a new one to go on"],
  agent_unknown: ["order", "The exchange does not know the key of this browser. Approve a new one to go on"],
  market_not_allowed: ["order", "The key of this browser may not trade in this market"],
  unauthenticated: ["order", "You are signed out. Sign in again"],
  session_invalid: ["order", "Your session was ended. Sign in again"],
  session_expired: ["order", "Your session is over. Sign in again"],
  rate_limited: ["order", "Too much at once. Wait a moment, then send it again"],
  overloaded: ["order", "The exchange has too much to do. Nothing was done; send it again in a moment"],
  work_queued: ["order", "The exchange is busy. Nothing was done; send it again in a moment"],
  request_expired: ["order", "It took too long to get there. Nothing was done; send it again"],
  expiry_too_far: ["order", "The clock of this device is off. It was compared now: send it again"],
  request_expiry_too_far: ["order", "The clock of this device is off. It was compared now: send it again"],
  nonce_off_time: ["order", "The clock of this device is off. It was compared now: send it again"],
  unavailable: ["order", "The exchange can not answer this now. Try again in a moment"],
};

const FIELDS: Readonly<Record<string, DraftField>> = {
  price: "price",
  size: "size",
  amount: "size",
  good_till_ms: "goodTill",
  "trigger.price": "trigger",
  trigger: "trigger",
};

/** Codes after which it is not known whether anything was done. */
export function isUnknown(error: unknown): boolean {
  if (error instanceof NoAnswer) return true;
  // nonce_used: the browser may have sent it twice by itself, and the first was taken
  return error instanceof ApiProblem && (error.code === "outcome_unknown" || error.code === "nonce_used");
}

/** Whether the key of this browser is at fault, so that a new one has to be approved. */
export function isOfKey(code: string): boolean {
  return code === "agent_revoked" || code === "agent_expired" || code === "agent_unknown";
}

export function refusalOf(error: unknown): Refusal {
  if (error instanceof ApiProblem) {
    const words = WORDS[error.code];
    const named = error.field === null ? undefined : FIELDS[error.field];
    return {
      field: named ?? words?.[0] ?? "order",
      code: error.code,
      text: words?.[1] ?? sentence(error.detail),
      nearest: error.nearest,
    };
  }
  return { field: "order", code: "none", text: messageOf(error), nearest: [] };
}

/** One line for a toast. */
export function messageOf(error: unknown): string {
  if (error instanceof ApiProblem) return WORDS[error.code]?.[1] ?? sentence(error.detail);
  if (error instanceof NoAnswer) return "The exchange can not be reached";
  if (error instanceof SignatureRefused) return "You did not sign. Nothing was changed";
  return error instanceof Error ? error.message : "Something went wrong";
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
