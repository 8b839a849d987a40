/**
 * Sends an order, and finds out what became of it when no answer comes. Every order has an id of its own, so the same
 * order is never placed twice, and can be looked up. "Failed" is said only when it is known.
 */

import { agent } from "../agent/agent";
import { api, pathWith, type Schemas } from "../api/client";
import { learn, liveOrders, type Order } from "./open-orders";
import type { OrderRequest } from "./order-check";
import { isUnknown } from "./refusals";

export type Outcome =
  | { readonly kind: "placed"; readonly order: Order; readonly fills: readonly Schemas["FillItem"][] }
  /** It is certain that it never got there, and never will. */
  | { readonly kind: "lost" }
  /** Somebody else is signed in by now, or nobody: whose order it is can look in their history. */
  | { readonly kind: "unseen" };

/** The engine refuses an order that comes later; from then on a look-up is conclusive. */
const LIFE_MS = 10_000;
const LOOK_EVERY_MS = 1_000;
/** No order that was placed so long before it was sent can be the one. */
const BEFORE_MS = 60_000;

export function newClientOrderId(): string {
  return `web-${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}

/**
 * Places the order. `onUnknown` is called when no answer came, before it is looked up.
 * Throws ApiProblem when it was refused.
 */
export async function placeOrder(request: OrderRequest, onUnknown: () => void): Promise<Outcome> {
  const owner = agent.owner();
  const clientOrderId = newClientOrderId();
  const expiresMs = agent.nowMs() + LIFE_MS;
  const body = { ...request, client_order_id: clientOrderId, expires_at_ms: expiresMs };
  try {
    const answer = await agent.request<Schemas["PlaceOrderAnswer"]>("POST", "/v1/orders", body);
    learn(answer.order, answer.seq, owner);
    return { kind: "placed", order: answer.order, fills: answer.fills };
  } catch (error) {
    if (!isUnknown(error)) throw error;
  }
  onUnknown();
  return lookUp(clientOrderId, expiresMs, owner);
}

/** Looks until the order is found, or can not come any more. Goes on for as long as the exchange can not be reached. */
async function lookUp(clientOrderId: string, expiresMs: number, owner: string | null): Promise<Outcome> {
  for (;;) {
    if (agent.owner() !== owner) return { kind: "unseen" }; // another's orders say nothing of this one
    const streamed = inStream(clientOrderId);
    if (streamed !== null) return { kind: "placed", order: streamed, fills: [] };
    try {
      // Whether it can still come is the exchange's to say, not the clock's: what it has taken may take long to be kept.
      const { seq, decided_until_ms } = await api.get<Schemas["TimeAnswer"]>("/v1/time");
      const found = await inAnswers(clientOrderId, expiresMs - LIFE_MS - BEFORE_MS, seq);
      if (found !== null) return { kind: "placed", order: found, fills: [] };
      if (decided_until_ms > expiresMs && agent.owner() === owner) return { kind: "lost" };
    } catch {
      // not reached, or not able to say: look again
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function inStream(clientOrderId: string): Order | null {
  const { orders, ended } = liveOrders.snapshot();
  const open = Array.from(orders?.values() ?? [], ({ order }) => order);
  return [...open, ...ended].find((order) => order.client_order_id === clientOrderId) ?? null;
}

/** Through all orders since `sinceMs` as of `seq` or later, newest first. */
async function inAnswers(clientOrderId: string, sinceMs: number, seq: number): Promise<Order | null> {
  let cursor: string | null = null;
  do {
    const path = pathWith("/v1/orders", { status: "all", limit: 100, min_seq: seq, from: sinceMs, cursor });
    const answer: Schemas["OrdersAnswer"] = await agent.request("GET", path);
    const found = answer.items.find((order) => order.client_order_id === clientOrderId);
    if (found !== undefined) return found;
    cursor = answer.next_cursor;
  } while (cursor !== null);
  return null;
}
