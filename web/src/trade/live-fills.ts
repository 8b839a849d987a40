/** The fills since somebody looked, newest first; those before are in the history. */

import type { Schemas } from "../api/client";
import { Live, useLive } from "./live";

export type Fill = Schemas["FillItem"];

const MOST = 200;
const NONE: readonly Fill[] = [];

export function fillKey(fill: Fill): string {
  return `${fill.trade_id} ${fill.order_id}`;
}

export const liveFills = new Live<readonly Fill[], Fill>("fills", NONE, (state, message) => {
  if (message.kind === "snapshot" || message.data.length === 0) return state; // snapshots are always empty
  const known = new Set(state.map(fillKey));
  const fresh = message.data.filter((fill) => !known.has(fillKey(fill))).reverse();
  return [...fresh, ...state].slice(0, MOST);
});

export function useLiveFills(): readonly Fill[] {
  return useLive(liveFills);
}
