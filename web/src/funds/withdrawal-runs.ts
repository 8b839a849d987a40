/**
 * A withdrawal from the signature until the exchange has taken it. What was signed is kept in this tab until then: it
 * can be handed in again after a reload, rather than signed a second time.
 */

import { api, NoAnswer, type Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { compare, parseDecimal } from "../numbers";
import { toast } from "../ui/toast";
import { type Purpose, SignatureRefused, type Signer } from "../wallet/signer";
import { afterFee } from "./amount";
import { type Exchange, handIn, lookUp, NotKnownYet } from "./hand-in";
import { type FundsField, inWords, refusal } from "./problem-text";
import { isRecord, type Run, Runs, texts, useRuns } from "./runs";
import { timeOf, type Withdrawal } from "./steps";
import { NotWhatWasEntered, signableWithdrawal, type WantedWithdrawal } from "./withdrawal-message";

type Quote = Schemas["WithdrawalQuoteAnswer"];

export interface WithdrawalRun extends Run {
  asset: string;
  amount: string;
  stage: "signing" | "handing-in" | "taken" | "refused" | "cancelled" | "unknown";
  /** The digest of what was signed, once it is. */
  withdrawalId: string | null;
  /** The signed request. */
  request: Record<string, unknown> | null;
  /** "unknown", and handed in once more now. */
  isLooking: boolean;
  /** As it was when it was taken. */
  taken: Withdrawal | null;
  problem: { field: FundsField; text: string } | null;
}

const WITHDRAWAL_ID = /^0x[0-9a-f]{64}$/i;

/** What is known after a reload: that it was signed, not whether the exchange has it. */
export function recallWithdrawal(kept: Record<string, unknown>): Omit<WithdrawalRun, "id"> | null {
  const known = texts(kept, "owner", "asset", "amount", "withdrawalId");
  const { request } = kept;
  if (known === null || !WITHDRAWAL_ID.test(known.withdrawalId) || !isRecord(request)) return null;
  return { ...known, request, stage: "unknown", isLooking: false, taken: null, problem: null };
}

const runs = new Runs<WithdrawalRun>({
  name: "withdrawals",
  isKept: (run) => run.request !== null && (run.stage === "handing-in" || run.stage === "unknown"),
  recall: recallWithdrawal,
});

const exchange: Exchange = {
  post: async (request) => (await api.post<Schemas["WithdrawalAnswer"]>("/v1/withdrawals", request)).withdrawal,
  get: async (id) => (await api.get<Schemas["WithdrawalAnswer"]>(`/v1/withdrawals/${id}`)).withdrawal,
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  nowMs: () => Date.now(),
};

export interface WithdrawalOrder extends WantedWithdrawal {
  signer: Signer;
  deployment: Deployment;
}

export function startWithdrawal(order: WithdrawalOrder): number {
  const id = runs.add({
    owner: order.account,
    asset: order.asset.symbol,
    amount: order.amount,
    stage: "signing",
    withdrawalId: null,
    request: null,
    isLooking: false,
    taken: null,
    problem: null,
  });
  void sign(id, order);
  return id;
}

export const withdrawalRun = (id: number): WithdrawalRun | undefined => runs.get(id);

/** Hands in once more what was signed before: the same signature is the same withdrawal. */
export async function lookAgain(id: number): Promise<void> {
  runs.change(id, { isLooking: true });
  await submit(id);
  runs.change(id, { isLooking: false });
  const run = runs.get(id);
  if (run?.stage !== "refused" || run.withdrawalId === null) return;
  const taken = await lookUp(exchange, run.withdrawalId); // what it has already it may refuse to take again
  if (taken !== null) runs.change(id, { stage: "taken", taken });
  else toast("error", `${run.amount} ${run.asset} were not withdrawn`, run.problem?.text); // nothing else shows it now
}

/** The exchange shows these: so it has taken them, whatever its answer was. */
export function noteTaken(withdrawals: readonly Withdrawal[]): void {
  for (const run of runs.list()) {
    const taken = run.stage === "unknown" ? withdrawals.find((each) => each.withdrawal_id === run.withdrawalId) : undefined;
    if (taken !== undefined) runs.change(run.id, { stage: "taken", taken });
  }
}

async function sign(id: number, order: WithdrawalOrder): Promise<void> {
  try {
    const quote = await freshQuote(order);
    if (typeof quote === "string") {
      runs.change(id, { stage: "refused", problem: refusal(quote) });
      return;
    }
    const nowS = Math.floor(Date.now() / 1_000);
    const agreed = { ...order, maxFee: quote.quote.max_fee };
    const signable = signableWithdrawal(order.deployment, agreed, quote.toSign, nowS);
    const signature = await order.signer.signTypedData(signable.data, purposeOf(agreed, quote.quote, signable.deadlineS));
    runs.change(id, { withdrawalId: signable.id, request: { ...signable.request, signature }, stage: "handing-in" });
  } catch (error) {
    if (error instanceof SignatureRefused) runs.change(id, { stage: "cancelled" });
    else runs.change(id, { stage: "refused", problem: inWords(error) });
    return;
  }
  await submit(id);
}

async function submit(id: number): Promise<void> {
  const { request, withdrawalId } = runs.get(id) ?? {};
  if (request == null || withdrawalId == null) return;
  try {
    runs.change(id, { stage: "taken", taken: await handIn(exchange, request, withdrawalId) });
  } catch (error) {
    if (error instanceof NotKnownYet || error instanceof NoAnswer) runs.change(id, { stage: "unknown" });
    else runs.change(id, { stage: "refused", problem: inWords(error) });
  }
}

/** The quote of this moment, or the code for which it would be refused. */
async function freshQuote(order: WithdrawalOrder): Promise<{ quote: Quote; toSign: Schemas["ToSign"] } | string> {
  const { asset, amount, destination } = order;
  const quote = await api.get<Quote>("/v1/withdrawals/quote", { asset: asset.symbol, amount, destination });
  const [code] = quote.refusals;
  if (code !== undefined) return code;
  if (quote.to_sign === null) return "unavailable";
  // Never sign for more than was shown; for less it may be.
  if (compare(quote.max_fee, order.maxFee) > 0) return "withdrawal_fee_above_maximum";
  return { quote, toSign: quote.to_sign };
}

/** What arrives is worked out here: the quote's word for it is not what is signed. Throws NotWhatWasEntered. */
export function purposeOf(order: WithdrawalOrder, quote: Quote, deadlineS: number): Purpose {
  const { symbol } = order.asset;
  const isOdd = compare(quote.fee, "0") < 0 || compare(quote.fee, order.maxFee) > 0 || compare(quote.fee, order.amount) > 0;
  if (isOdd) throw new NotWhatWasEntered();
  const least = afterFee(order.amount, order.maxFee);
  const isExact = compare(quote.fee, order.maxFee) === 0;
  const fee = isExact ? quote.fee : `${quote.fee}, at most ${order.maxFee}`;
  const receives = isExact ? least : `${afterFee(order.amount, quote.fee)}, at least ${least}`;
  const purpose: Purpose = {
    title: `Withdraw ${order.amount} ${symbol}`,
    lines: [
      { label: "Amount", value: `${order.amount} ${symbol}` },
      { label: "Fee", value: `${fee} ${symbol}` },
      { label: "You receive", value: `${receives} ${symbol}` },
      { label: "To", value: order.destination },
      { label: "Paid until", value: `${timeOf(deadlineS)}, else it comes back` },
      { label: "Paid by the vault", value: order.deployment.vault },
    ],
  };
  if (order.destination.toLowerCase() !== order.account.toLowerCase()) {
    purpose.warning = "This is not your own wallet. What is sent to a wrong address is lost.";
  }
  return purpose;
}

/** What the last attempt was refused for, as long as what is entered is the same as then. */
export function refusalFor(last: WithdrawalRun | null, asset: string, typed: string): WithdrawalRun["problem"] {
  if (last?.stage !== "refused" || last.asset !== asset) return null;
  const text = typed.trim();
  return parseDecimal(text) !== null && compare(text, last.amount) === 0 ? last.problem : null;
}

export function useWithdrawalRuns(): readonly WithdrawalRun[] {
  return useRuns(runs);
}
