/** The balances of whoever is signed in, live. */

import { plus } from "../numbers";
import { Live, useLive } from "./live";

export interface Balance {
  readonly asset: string;
  readonly available: string;
  readonly held: string;
  readonly total: string;
}

export type Balances = ReadonlyMap<string, Balance>;
type Streamed = Omit<Balance, "total">;

export function withBalances(state: Balances | null, changed: readonly Streamed[]): Balances {
  const balances = new Map(state ?? []);
  for (const { asset, available, held } of changed) {
    balances.set(asset, { asset, available, held, total: plus(available, held) });
  }
  return balances;
}

export const liveBalances = new Live<Balances | null, Streamed>("balances", null, (state, message) =>
  withBalances(message.kind === "snapshot" ? null : state, message.data),
);

/** By asset; null until they are known, or while nobody is signed in. What is missing is zero. */
export function useBalances(): Balances | null {
  return useLive(liveBalances);
}
