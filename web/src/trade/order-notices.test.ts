import { describe, expect, it, vi } from "vitest";

vi.mock("../stream/stream", () => ({ stream: { subscribe: () => () => undefined } }));
vi.mock("../session", () => ({ useSession: () => ({ status: "signed-out" }) }));

import { type Order, type OrdersState, withOrders } from "./open-orders";
import { endedByThemselves, noticeOf } from "./order-notices";

function order(id: string, patch: Partial<Order> = {}): Order {
  const base = { order_id: id, market: "ETH-USDC", side: "buy", type: "limit", status: "open", price: "2990" };
  return { ...base, size: "1", filled: "0", remaining: "1", trigger: null, ...patch } as unknown as Order;
}

const NOTHING: OrdersState = { orders: new Map(), ended: [], sinceSeq: 0 };
const ids = (orders: readonly Order[]) => orders.map((each) => each.order_id);

describe("an order that stood", () => {
  const standing = withOrders(NOTHING, [order("1"), order("2"), order("3")], 10);

  it("is told of when it was filled or has expired, not when it was taken back", () => {
    const ended = [order("1", { status: "cancelled" }), order("2", { status: "filled" }), order("3", { status: "expired" })];
    expect(ids(endedByThemselves(standing, withOrders(standing, ended, 11)))).toEqual(["2", "3"]);
  });

  it("is told of once", () => {
    const after = withOrders(standing, [order("2", { status: "filled" })], 11);
    const later = withOrders(after, [order("1", { filled: "0.5" })], 12);
    expect(endedByThemselves(after, later)).toEqual([]);
  });

  it("is not one that was filled at once: its answer has told that", () => {
    const after = withOrders(standing, [order("9", { status: "filled" })], 11);
    expect(endedByThemselves(standing, after)).toEqual([]);
  });

  it("is nobody's when another account comes", () => {
    expect(endedByThemselves({ ...NOTHING, orders: null }, standing)).toEqual([]);
    expect(endedByThemselves(standing, { ...NOTHING, orders: null })).toEqual([]);
  });
});

it("a notice says what was traded, and within which limit", () => {
  const filled = noticeOf(order("1", { status: "filled", filled: "1", side: "sell" }));
  expect(filled).toEqual({ kind: "ok", title: "Your order is filled", detail: "Sold 1 ETH, limit 2,990" });
  const expired = noticeOf(order("1", { status: "expired", filled: "0.4" }));
  expect(expired.detail).toBe("Buy 1 ETH, limit 2,990: expired, 0.4 filled");
});
