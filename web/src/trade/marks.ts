/** Where one's own orders are marked: as lines on the chart, and on the levels of the book. */

import type { ChartOrder } from "../market/chart";
import type { OwnOrder } from "../market/own-levels";
import type { Order } from "./open-orders";

function waits(order: Order): boolean {
  return order.trigger !== null && !order.trigger.met;
}

function sideOf(order: Order): "buy" | "sell" {
  return order.side === "buy" ? "buy" : "sell";
}

/** On the chart: at its price, or at what it waits for. */
export function lineOf(order: Order): ChartOrder | null {
  const price = waits(order) ? order.trigger?.price : order.price;
  if (price === undefined || price === null) return null;
  const waitsAs = waits(order) ? (order.trigger?.type === "stop" ? "Stop" : "Take profit") : null;
  return { id: order.order_id, side: sideOf(order), price, remaining: order.remaining, waitsAs };
}

/** In the book: not what waits for a trigger, and never a market order. */
export function standing(order: Order): OwnOrder | null {
  if (order.type !== "limit" || order.price === null || waits(order)) return null;
  return { side: sideOf(order), price: order.price, remaining: order.remaining };
}
