/** What was typed as an amount: atoms, or what is wrong with it. Pure. */

import { compare, fromUnits, minus, parseDecimal, rescale } from "../numbers";

export type ReadAmount = { atoms: bigint; text: string } | { problem: string | null };

/** `problem` is null while nothing was typed: then there is nothing to complain about yet. */
export function readAmount(typed: string, decimals: number, symbol: string): ReadAmount {
  const text = typed.trim();
  if (text === "") return { problem: null };
  const parsed = parseDecimal(text.startsWith(".") ? `0${text}` : text.replace(/\.$/, ""));
  if (parsed === null) return { problem: "Enter digits and at most one point." };
  const atoms = rescale(parsed, decimals);
  if (atoms === null) return { problem: `${symbol} has at most ${decimals} decimals.` };
  if (atoms === 0n) return { problem: "Enter an amount above zero." };
  return { atoms, text: fromUnits(atoms, decimals) };
}

/** What may be spent of a balance when the network's fee comes out of it as well; never below zero. */
export function lessFee(balance: bigint, fee: bigint): bigint {
  return balance > fee ? balance - fee : 0n;
}

/** What arrives of an amount whose fee is taken out of it, both in decimals; nothing where the fee is more. */
export function afterFee(amount: string, fee: string): string {
  return compare(fee, amount) > 0 ? "0" : minus(amount, fee);
}

/** Two digits of a fee are enough to read. It is an estimate in any case. */
export function shortened(wei: bigint): bigint {
  const digits = wei.toString().length;
  if (digits <= 2) return wei;
  const step = 10n ** BigInt(digits - 2);
  return ((wei + step - 1n) / step) * step;
}
