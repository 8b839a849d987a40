import { describe, expect, it, vi } from "vitest";

vi.mock("../stream/stream", () => ({ stream: { subscribe: () => () => undefined } }));
vi.mock("../session", () => ({ useSession: () => ({ status: "signed-out" }) }));

import { type Order, type OrdersState, withOrders } from "./open-orders";
import { withBalances } from "./balances";
import { withNewer } from "./pages";

function order(id: string, patch: Partial<Order> = {}): Order {
  return { order_id: id, status: "open", market: "ETH-USDC", size: "1", filled: "0", ...patch } as Order;
}

const NOTHING: OrdersState = { orders: new Map(), ended: [] };
const open = (state: OrdersState) => Array.from(state.orders?.values() ?? [], (known) => known.order);

describe("open orders", () => {
  it("come, change and end", () => {
    let state = withOrders(NOTHING, [order("1"), order("2")], 10);
    state = withOrders(state, [order("1", { filled: "0.5" }), order("2", { status: "cancelled" })], 11);
    expect(open(state)).toEqual([order("1", { filled: "0.5" })]);
    expect(state.ended).toEqual([order("2", { status: "cancelled" })]);
  });

  it("are not brought back by an answer that is older than the stream", () => {
    let state = withOrders(NOTHING, [order("1", { filled: "0.7" })], 20);
    state = withOrders(state, [order("1", { filled: "0.2" })], 15);
    expect(open(state)).toEqual([order("1", { filled: "0.7" })]);
    state = withOrders(state, [order("1", { status: "filled" })], 21);
    state = withOrders(state, [order("1")], 15);
    expect(open(state)).toEqual([]);
  });

  it("keep a bound number of those that ended, the newest first", () => {
    let state = NOTHING;
    for (let id = 1; id <= 550; id += 1) state = withOrders(state, [order(String(id), { status: "filled" })], id);
    expect(state.ended).toHaveLength(500);
    expect(state.ended[0]?.order_id).toBe("550");
  });
});

describe("balances", () => {
  it("add up, and keep the assets that did not change", () => {
    const first = withBalances(null, [
      { asset: "ETH", available: "1.5", held: "0.5" },
      { asset: "USDC", available: "10", held: "0" },
    ]);
    const then = withBalances(first, [{ asset: "ETH", available: "2", held: "0" }]);
    expect(first.get("ETH")?.total).toBe("2");
    expect(then.get("ETH")).toEqual({ asset: "ETH", available: "2", held: "0", total: "2" });
    expect(then.get("USDC")?.total).toBe("10");
  });
});

describe("pages with what came live on top", () => {
  it("show each row once, as it is newest", () => {
    const key = (row: { id: number }) => String(row.id);
    const rows = withNewer([{ id: 3, at: "live" }, { id: 2, at: "live" }], [{ id: 2, at: "page" }, { id: 1, at: "page" }], key);
    expect(rows).toEqual([
      { id: 3, at: "live" },
      { id: 2, at: "live" },
      { id: 1, at: "page" },
    ]);
  });
});
