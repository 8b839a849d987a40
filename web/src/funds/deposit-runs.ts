/**
 * Deposits that were begun in this page: closing the dialog stops nothing. Of what was sent, the tab keeps what it
 * knows until the exchange shows it, so that a reload does not hide money on its way.
 */

import { SignatureRefused } from "../wallet/signer";
import { DepositFailed, type DepositOrder, makeDeposit } from "./make-deposit";
import { inWords } from "./problem-text";
import { Runs, texts, useRuns } from "./runs";
import type { Deposit, DepositRun } from "./steps";

const TX_HASH = /^0x[0-9a-f]{64}$/i;

/** What is known after a reload: that it was sent, no more. */
export function recallDeposit(kept: Record<string, unknown>): Omit<DepositRun, "id"> | null {
  const known = texts(kept, "owner", "asset", "amount", "txHash");
  const { startedMs, allowance, allowanceHash } = kept;
  if (known === null || !TX_HASH.test(known.txHash) || typeof startedMs !== "number") return null;
  return {
    ...known,
    startedMs,
    allowance: allowance === "permit" || allowance === "approve" ? allowance : null,
    allowanceHash: typeof allowanceHash === "string" ? allowanceHash : null,
    stage: "recalled",
    failure: null,
    endedIn: null,
    isListed: false,
  };
}

const runs = new Runs<DepositRun>({
  name: "deposits",
  isKept: (run) => run.txHash !== null && !run.isListed,
  recall: recallDeposit,
});

/** Begins a deposit; what becomes of it is in the list. */
export function startDeposit(order: DepositOrder): number {
  const id = runs.add({
    owner: order.account,
    asset: order.asset.symbol,
    amount: order.amount,
    startedMs: Date.now(),
    allowance: null,
    stage: "checking",
    allowanceHash: null,
    txHash: null,
    failure: null,
    endedIn: null,
    isListed: false,
  });
  makeDeposit(order, (part) => runs.change(id, part)).catch((error: unknown) => {
    const now = runs.get(id);
    const endedIn = now?.stage ?? null;
    if (error instanceof SignatureRefused) runs.change(id, { stage: "cancelled", endedIn });
    else if (error instanceof DepositFailed) runs.change(id, { stage: "failed", failure: error.message, endedIn });
    // Once it is sent it may well be mined, whatever the node answers: only the chain calls it failed.
    else if (now?.txHash == null) runs.change(id, { stage: "failed", failure: inWords(error).text, endedIn });
  });
  return id;
}

/** The exchange shows these. From then on they are in its list after a reload. */
export function noteListed(deposits: readonly Deposit[]): void {
  const listed = new Set(deposits.map((each) => each.tx_hash.toLowerCase()));
  for (const run of runs.list()) {
    if (run.txHash !== null && !run.isListed && listed.has(run.txHash.toLowerCase())) runs.change(run.id, { isListed: true });
  }
}

export const forgetRun = runs.forget;

export function useDepositRuns(): readonly DepositRun[] {
  return useRuns(runs);
}
