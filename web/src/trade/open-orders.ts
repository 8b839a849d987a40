/** The open orders of whoever is signed in, live: the stream's, and sooner what answers have told. */

import { useMemo } from "react";

import type { Schemas } from "../api/client";
import { Live, useLive } from "./live";

export type Order = Schemas["OrderItem"];

interface Known {
  readonly order: Order;
  /** As of when it is true. */
  readonly seq: number;
}

export interface OrdersState {
  /** Null until the first snapshot has come. */
  readonly orders: ReadonlyMap<string, Known> | null;
  /** Those that ended while somebody looked, newest first; a bound number. */
  readonly ended: readonly Order[];
  /** As of when all that is open was told: what is older than that may have ended since, unseen. */
  readonly sinceSeq: number;
}

const EMPTY: OrdersState = { orders: null, ended: [], sinceSeq: 0 };
const MOST_ENDED = 500;

/** Takes in orders as they are as of `seq`; what is older than what is known changes nothing. */
export function withOrders(state: OrdersState, orders: readonly Order[], seq: number): OrdersState {
  if (seq < state.sinceSeq) return state;
  const known = new Map(state.orders ?? []);
  let ended = state.ended;
  for (const order of orders) {
    const before = known.get(order.order_id);
    if (before !== undefined && before.seq > seq) continue;
    if (ended.some((other) => other.order_id === order.order_id)) continue;
    if (order.status === "open") known.set(order.order_id, { order, seq });
    else {
      known.delete(order.order_id);
      ended = [order, ...ended].slice(0, MOST_ENDED);
    }
  }
  return { ...state, orders: known, ended };
}

/** All that are open. What else was open has ended meanwhile: of that the history tells. */
export function fromSnapshot(state: OrdersState, orders: readonly Order[], seq: number): OrdersState {
  return withOrders({ orders: new Map(), ended: state.ended, sinceSeq: seq }, orders, seq);
}

export const liveOrders = new Live<OrdersState, Order>("orders", EMPTY, (state, { kind, data, seq }) =>
  kind === "snapshot" ? fromSnapshot(state, data, seq) : withOrders(state, data, seq),
);

/** What the answer to a request of `owner` has told of an order, sooner than the stream may. Not another's business. */
export function learn(order: Order, seq: number, owner: string | null): void {
  if (!liveOrders.isOf(owner)) return;
  const state = liveOrders.snapshot();
  if (state.orders !== null) liveOrders.set(withOrders(state, [order], seq));
}

export function useOrdersState(): OrdersState {
  return useLive(liveOrders);
}

/** Newest first; null until they are known. */
export function useOpenOrders(market?: string): readonly Order[] | null {
  const { orders } = useOrdersState();
  return useMemo(() => {
    if (orders === null) return null;
    const all = Array.from(orders.values(), ({ order }) => order);
    return all
      .filter((order) => market === undefined || order.market === market)
      .sort((one, other) => Number(BigInt(other.order_id) - BigInt(one.order_id)));
  }, [orders, market]);
}
