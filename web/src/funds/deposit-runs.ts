/** Deposits that were begun in this page, kept while the page lives: closing the dialog stops nothing. */

import { useMemo, useSyncExternalStore } from "react";

import { useSession } from "../session";
import { SignatureRefused } from "../wallet/signer";
import { DepositFailed, type DepositOrder, makeDeposit } from "./make-deposit";
import { inWords } from "./problem-text";
import type { DepositRun } from "./steps";

let runs: readonly DepositRun[] = [];
let nextId = 1;
const listeners = new Set<() => void>();

function change(id: number, part: Partial<DepositRun>): void {
  runs = runs.map((run) => (run.id === id ? { ...run, ...part } : run));
  listeners.forEach((listener) => listener());
}

/** Begins a deposit; what becomes of it is in the list. */
export function startDeposit(order: DepositOrder): number {
  const id = nextId++;
  const run: DepositRun = {
    id,
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
  };
  runs = [run, ...runs];
  listeners.forEach((listener) => listener());
  makeDeposit(order, (part) => change(id, part)).catch((error: unknown) => {
    const now = runs.find((each) => each.id === id);
    const endedIn = now?.stage ?? null;
    if (error instanceof SignatureRefused) change(id, { stage: "cancelled", endedIn });
    else if (error instanceof DepositFailed) change(id, { stage: "failed", failure: error.message, endedIn });
    // Once it is sent it may well be mined, whatever the node answers: only the chain calls it failed.
    else if (now?.txHash == null) change(id, { stage: "failed", failure: inWords(error).text, endedIn });
  });
  return id;
}

export function forgetRun(id: number): void {
  runs = runs.filter((run) => run.id !== id);
  listeners.forEach((listener) => listener());
}

/** Those of whoever is signed in. */
export function useDepositRuns(): readonly DepositRun[] {
  const owner = useSession().me?.address;
  const all = useSyncExternalStore(listen, () => runs);
  return useMemo(() => all.filter((run) => run.owner === owner), [all, owner]);
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
