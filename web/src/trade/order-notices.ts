/** Says when an order that stood has ended by itself: it was filled, or its time was over. */

import { useEffect, useRef } from "react";

import { shownAmount } from "../ui/money";
import { toast } from "../ui/toast";
import { type Order, type OrdersState, useOrdersState } from "./open-orders";
import { sideText, statusText } from "./words";

/** What was open before and has ended since, oldest first; not what the person has taken back. */
export function endedByThemselves(before: OrdersState, after: OrdersState): readonly Order[] {
  if (before.orders === null || before.ended === after.ended) return [];
  const open = before.orders;
  return after.ended.filter((order) => open.has(order.order_id) && order.status !== "cancelled").reverse();
}

export function noticeOf(order: Order): { kind: "ok" | "info"; title: string; detail: string } {
  const base = order.market.split("-")[0] ?? "";
  // Its limit, not what it traded at: a part of it may have met something better.
  const at = order.type === "limit" && order.price !== null ? `, limit ${shownAmount(order.price)}` : "";
  if (order.status === "filled") {
    const done = order.side === "buy" ? "Bought" : "Sold";
    return { kind: "ok", title: "Your order is filled", detail: `${done} ${shownAmount(order.filled)} ${base}${at}` };
  }
  const what = `${sideText(order.side)} ${shownAmount(order.size)} ${base}${at}`;
  const some = /[1-9]/.test(order.filled) ? `, ${shownAmount(order.filled)} filled` : "";
  return { kind: "info", title: "Your order has ended", detail: `${what}: ${statusText(order).toLowerCase()}${some}` };
}

/** Draws nothing: on every page it says so. */
export function OrderNotices(): null {
  const state = useOrdersState();
  const before = useRef(state);
  useEffect(() => {
    for (const order of endedByThemselves(before.current, state)) {
      const { kind, title, detail } = noticeOf(order);
      toast(kind, title, detail);
    }
    before.current = state;
  }, [state]);
  return null;
}
