/** Words for what the exchange names by codes, and for times. */

import { fromUnits } from "../numbers";
import type { Order } from "./open-orders";
import type { TimeInForce } from "./order-draft";

export const TIME_IN_FORCE_WORDS: Readonly<Record<TimeInForce, string>> = {
  gtc: "Until cancelled",
  post_only: "Post-only: never takes",
  ioc: "Immediate or cancel",
  fok: "Fill or kill",
  gtt: "Until a time",
};

const STATUS_WORDS: Readonly<Record<string, string>> = {
  open: "Open",
  filled: "Filled",
  cancelled: "Cancelled",
  unfilled: "Rest not filled",
  self_trade: "Met your own order",
  work_limit: "Met too many orders",
  expired: "Expired",
  cancel_all_after: "Cancelled by switch",
  post_only_would_cross: "Would have taken",
  account_frozen: "Account frozen",
};

/** What became of an order. */
export function statusText(order: Order): string {
  if (order.status === "open" && order.trigger !== null && !order.trigger.met) return "Waiting";
  return STATUS_WORDS[order.status] ?? order.status;
}

/** What kind of order it is, as short as it can be said. */
export function kindText(order: Order): string {
  const kind = order.type === "market" ? "Market" : "Limit";
  if (order.trigger !== null) return `${order.trigger.type === "stop" ? "Stop" : "Take profit"} ${kind.toLowerCase()}`;
  if (order.time_in_force === "post_only") return "Post-only";
  if (order.time_in_force === "ioc" && order.type === "limit") return "Limit IOC";
  if (order.time_in_force === "fok") return `${kind} FOK`;
  return kind;
}

export function sideText(side: string): string {
  return side === "buy" ? "Buy" : "Sell";
}

/** Basis points as percent: 10 is "0.1%". */
export function bpsText(bps: number): string {
  return `${fromUnits(BigInt(bps), 2)}%`;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Today: the time; before: the day with it. */
export function timeText(ms: number | null | undefined, nowMs = Date.now()): string {
  if (ms === null || ms === undefined) return "–";
  const date = new Date(ms);
  const today = date.toDateString() === new Date(nowMs).toDateString();
  return today ? TIME.format(date) : `${DAY.format(date)} ${TIME.format(date)}`;
}

export function dateTimeText(ms: number): string {
  return FULL.format(ms);
}
