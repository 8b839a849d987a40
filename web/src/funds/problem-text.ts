/** What went wrong with funds, in words, and beside which field it belongs. */

import { ApiProblem, NoAnswer } from "../api/client";
import { SignatureRefused } from "../wallet/signer";

export type FundsField = "amount" | "destination" | "asset" | null;

const WORDS: Record<string, { field: FundsField; text: string }> = {
  insufficient_funds: { field: "amount", text: "You do not have this much available." },
  withdrawal_too_small: { field: "amount", text: "This is less than the least amount." },
  withdrawal_fee_above_maximum: { field: "amount", text: "The fee has just risen. Look at it and sign again." },
  amount_too_large: { field: "amount", text: "This is more than there can be." },
  must_be_positive: { field: "amount", text: "Enter an amount above zero." },
  not_a_decimal: { field: "amount", text: "Enter digits and at most one point." },
  too_many_decimals: { field: "amount", text: "This has more decimals than the asset." },
  too_many_digits: { field: "amount", text: "This is too long for an amount." },
  address_invalid: { field: "destination", text: "This is no address. Is a character missing or wrong?" },
  destination_invalid: { field: "destination", text: "Nothing can be sent to this address." },
  destination_not_allowed: { field: "destination", text: "This address is not on your list of withdrawal addresses." },
  destination_waiting: { field: "destination", text: "This address is on your list, but not for long enough yet." },
  withdrawal_addresses_full: { field: "destination", text: "Your list of withdrawal addresses is full." },
  signature_used: { field: "destination", text: "This address was removed since. Add it again." },
  unknown_asset: { field: "asset", text: "This asset is not listed any more." },
  too_many_withdrawals: { field: null, text: "You have 20 open withdrawals. Wait until some are settled." },
  account_frozen: { field: null, text: "Your account is frozen. Ask the operator." },
  withdrawal_deadline_passed: { field: null, text: "It took too long to sign. Nothing was withdrawn. Try again." },
  withdrawal_deadline_too_near: { field: null, text: "It took too long to sign. Nothing was withdrawn. Try again." },
  signature_wrong_signer: { field: null, text: "Another wallet has signed than the one that you are signed in with." },
  session_invalid: { field: null, text: "You are signed out. Sign in again." },
  session_expired: { field: null, text: "You are signed out. Sign in again." },
  unauthenticated: { field: null, text: "You are signed out. Sign in again." },
  rate_limited: { field: null, text: "Too many requests. Wait a moment." },
  overloaded: { field: null, text: "The exchange is busy. Nothing was done. Try again in a moment." },
  unavailable: { field: null, text: "This is not available now. Try again in a moment." },
};

/** A refusal of a quote, by its code. */
export function refusal(code: string): { field: FundsField; text: string } {
  return WORDS[code] ?? { field: null, text: `The exchange would refuse it (${code}).` };
}

/** Words for whatever was thrown; `field` where it belongs beside one. */
export function inWords(error: unknown): { field: FundsField; text: string } {
  if (error instanceof SignatureRefused) return { field: null, text: "You did not sign. Nothing was done." };
  if (error instanceof NoAnswer) return { field: null, text: "The exchange can not be reached now." };
  if (error instanceof ApiProblem) return WORDS[error.code] ?? { field: fieldOf(error.field), text: error.detail };
  return { field: null, text: ofTheChain(error) };
}

function fieldOf(name: string | null): FundsField {
  if (name === "amount" || name === "asset") return name;
  return name === "destination" || name === "address" ? "destination" : null;
}

/** What wallets and nodes say, shortened: viem keeps the plain part apart from request and stack. */
export function ofTheChain(error: unknown): string {
  if (typeof error !== "object" || error === null) return "Something went wrong.";
  const short = "shortMessage" in error && typeof error.shortMessage === "string" ? error.shortMessage : null;
  const text = short ?? (error instanceof Error ? error.message : "");
  if (/insufficient funds/i.test(text)) return "Your wallet does not have enough for the amount and the network fee.";
  const first = text.split("\n")[0]?.trim() ?? "";
  return first === "" ? "Something went wrong." : first.slice(0, 200);
}
