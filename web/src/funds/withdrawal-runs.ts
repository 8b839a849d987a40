/** A withdrawal from the signature until the exchange has taken it; kept while the page lives. */

import { useMemo, useSyncExternalStore } from "react";

import { api, NoAnswer, type Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { compare } from "../numbers";
import { useSession } from "../session";
import { type Purpose, SignatureRefused, type Signer } from "../wallet/signer";
import { type Exchange, handIn, NotKnownYet } from "./hand-in";
import { type FundsField, inWords, refusal } from "./problem-text";
import { timeOf, type Withdrawal } from "./steps";
import { signableWithdrawal, type WantedWithdrawal } from "./withdrawal-message";

type Quote = Schemas["WithdrawalQuoteAnswer"];

export interface WithdrawalRun {
  id: number;
  /** Whose it is: somebody else may sign in on the same page. */
  owner: string;
  asset: string;
  amount: string;
  stage: "signing" | "handing-in" | "taken" | "refused" | "cancelled" | "unknown";
  /** The digest of what was signed, once it is. */
  withdrawalId: string | null;
  /** As it was when it was taken. */
  taken: Withdrawal | null;
  problem: { field: FundsField; text: string } | null;
}

let runs: readonly WithdrawalRun[] = [];
const requests = new Map<number, Record<string, unknown>>();
let nextId = 1;
const listeners = new Set<() => void>();

function publish(next: readonly WithdrawalRun[]): void {
  runs = next;
  listeners.forEach((listener) => listener());
}

function change(id: number, part: Partial<WithdrawalRun>): void {
  publish(runs.map((run) => (run.id === id ? { ...run, ...part } : run)));
}

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
  const id = nextId++;
  const run: WithdrawalRun = {
    id,
    owner: order.account,
    asset: order.asset.symbol,
    amount: order.amount,
    stage: "signing",
    withdrawalId: null,
    taken: null,
    problem: null,
  };
  publish([run, ...runs]);
  void sign(id, order);
  return id;
}

/** Hands in once more what was signed before: the same signature is the same withdrawal. */
export function lookAgain(id: number): void {
  void submit(id);
}

async function sign(id: number, order: WithdrawalOrder): Promise<void> {
  try {
    const quote = await freshQuote(order);
    if (typeof quote === "string") {
      change(id, { stage: "refused", problem: refusal(quote) });
      return;
    }
    const nowS = Math.floor(Date.now() / 1_000);
    const signable = signableWithdrawal(order.deployment, order, quote.toSign, nowS);
    const signature = await order.signer.signTypedData(signable.data, purposeOf(order, quote.quote, signable.deadlineS));
    requests.set(id, { ...signable.request, signature });
    change(id, { withdrawalId: signable.id });
  } catch (error) {
    if (error instanceof SignatureRefused) change(id, { stage: "cancelled" });
    else change(id, { stage: "refused", problem: inWords(error) });
    return;
  }
  await submit(id);
}

async function submit(id: number): Promise<void> {
  const request = requests.get(id);
  const withdrawalId = runs.find((run) => run.id === id)?.withdrawalId;
  if (request === undefined || withdrawalId == null) return;
  change(id, { stage: "handing-in" });
  try {
    change(id, { stage: "taken", taken: await handIn(exchange, request, withdrawalId) });
  } catch (error) {
    if (error instanceof NotKnownYet || error instanceof NoAnswer) change(id, { stage: "unknown" });
    else change(id, { stage: "refused", problem: inWords(error) });
  }
}

/** The quote of this moment, or the code for which it would be refused. */
async function freshQuote(order: WithdrawalOrder): Promise<{ quote: Quote; toSign: Schemas["ToSign"] } | string> {
  const { asset, amount, destination } = order;
  const quote = await api.get<Quote>("/v1/withdrawals/quote", { asset: asset.symbol, amount, destination });
  const [code] = quote.refusals;
  if (code !== undefined) return code;
  if (quote.to_sign === null) return "unavailable";
  // Never sign for more than was shown.
  if (compare(quote.max_fee, order.maxFee) !== 0) return "withdrawal_fee_above_maximum";
  return { quote, toSign: quote.to_sign };
}

export function purposeOf(order: WithdrawalOrder, quote: Quote, deadlineS: number): Purpose {
  const { symbol } = order.asset;
  const fee = compare(quote.fee, quote.max_fee) === 0 ? quote.fee : `${quote.fee}, at most ${quote.max_fee}`;
  const purpose: Purpose = {
    title: `Withdraw ${order.amount} ${symbol}`,
    lines: [
      { label: "Amount", value: `${order.amount} ${symbol}` },
      { label: "Fee", value: `${fee} ${symbol}` },
      { label: "You receive", value: `${quote.receives} ${symbol}` },
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

export function forgetWithdrawalRun(id: number): void {
  requests.delete(id);
  publish(runs.filter((run) => run.id !== id));
}

/** Those of whoever is signed in. */
export function useWithdrawalRuns(): readonly WithdrawalRun[] {
  const owner = useSession().me?.address;
  const all = useSyncExternalStore(listen, () => runs);
  return useMemo(() => all.filter((run) => run.owner === owner), [all, owner]);
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
