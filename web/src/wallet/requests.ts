/** What waits for the person: one dialog after the other, whoever asks. WalletHost shows the first. */

import type { Address, Hex, TypedDataDefinition } from "viem";
import { useSyncExternalStore } from "react";

import { type Purpose, SignatureRefused, type Signer, type Transaction } from "./signer";

interface Answers {
  message: Hex;
  "typed-data": Hex;
  transaction: Hex;
  start: Signer;
  backup: void;
  waiting: never;
}

export type WalletRequest =
  | { kind: "message"; address: Address; text: string }
  | { kind: "typed-data"; address: Address; data: TypedDataDefinition; purpose: Purpose }
  | { kind: "transaction"; address: Address; transaction: Transaction; purpose: Purpose }
  | { kind: "start" }
  | { kind: "backup"; address: Address }
  | { kind: "waiting"; wallet: string; purpose: Purpose };

export type RequestKind = WalletRequest["kind"];
export type RequestOf<K extends RequestKind> = Extract<WalletRequest, { kind: K }>;

export interface Pending<K extends RequestKind = RequestKind> {
  readonly id: number;
  readonly request: RequestOf<K>;
  answer(value: Answers[K]): void;
  /** Without an error: the person said no. */
  refuse(error?: unknown): void;
}

let queue: readonly Pending[] = [];
let count = 0;
const listeners = new Set<() => void>();

function setQueue(changed: readonly Pending[]): void {
  queue = changed;
  listeners.forEach((listener) => listener());
}

/** Asks the person. Throws SignatureRefused. `signal` takes the question back. */
export function ask<K extends RequestKind>(request: RequestOf<K>, signal?: AbortSignal): Promise<Answers[K]> {
  return new Promise((resolve, reject) => {
    const id = ++count;
    const leave = (): void => setQueue(queue.filter((pending) => pending.id !== id));
    const pending: Pending<K> = {
      id,
      request,
      answer(value) {
        leave();
        resolve(value);
      },
      refuse(error = new SignatureRefused()) {
        leave();
        reject(error);
      },
    };
    signal?.addEventListener("abort", () => pending.refuse(), { once: true });
    if (signal?.aborted !== true) setQueue([...queue, pending as unknown as Pending]);
  });
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The one to show now. */
export function pendingNow(): Pending | null {
  return queue[0] ?? null;
}

export function usePending(): Pending | null {
  return useSyncExternalStore(listen, pendingNow);
}
