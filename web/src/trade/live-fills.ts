/** The fills since somebody looked, newest first; those before are in the history. */

import type { Schemas } from "../api/client";
import { Live, useLive } from "./live";

export type Fill = Schemas["FillItem"];

const MOST = 200;

export interface FillsState {
  readonly fills: readonly Fill[];
  /** Since when none is left out: those before are in the history. */
  readonly sinceSeq: number;
}

const NONE: FillsState = { fills: [], sinceSeq: 0 };

export function fillKey(fill: Fill): string {
  return `${fill.trade_id} ${fill.order_id}`;
}

export function withFills(state: FillsState, came: readonly Fill[]): FillsState {
  const known = new Set(state.fills.map(fillKey));
  const fresh = came.filter((fill) => !known.has(fillKey(fill))).reverse();
  return fresh.length === 0 ? state : { ...state, fills: [...fresh, ...state.fills].slice(0, MOST) };
}

// Snapshots are always empty, and say from when on all are told.
export const liveFills = new Live<FillsState, Fill>("fills", NONE, (state, { kind, data, seq }) =>
  kind === "snapshot" ? { ...state, sinceSeq: seq } : withFills(state, data),
);

export function useLiveFills(): FillsState {
  return useLive(liveFills);
}
