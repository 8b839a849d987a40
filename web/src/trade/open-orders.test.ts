import { describe, expect, it, vi } from "vitest";

vi.mock("../stream/stream", () => ({ stream: { subscribe: () => () => undefined } }));
vi.mock("../session", () => ({ useSession: () => ({ status: "signed-out" }) }));

import { fromSnapshot, type Order, type OrdersState, withOrders } from "./open-orders";
import { withBalances } from "./balances";
import { withNewer } from "./pages";

function order(id: string, patch: Partial<Order> = {}): Order {
  return { order_id: id, status: "open", market: "ETH-USDC", size: "1", filled: "0", ...patch } as Order;
}

const NOTHING: OrdersState = { orders: new Map(), ended: [], sinceSeq: 0 };
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

  it("that ended unseen are not brought back by an answer from before the snapshot without them", () => {
    const state = fromSnapshot(NOTHING, [order("2")], 20);
    expect(open(withOrders(state, [order("1")], 15))).toEqual([order("2")]);
    expect(open(withOrders(state, [order("3")], 21))).toEqual([order("2"), order("3")]);
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

describe("pages with what came live", () => {
  const row = (id: number, at: string) => ({ id, at });
  const ids = { key: (each: { id: number }) => `key ${each.id}`, id: (each: { id: number }) => String(each.id) };

  it("show each row once, as it is newest", () => {
    const rows = withNewer([row(3, "live"), row(2, "live")], [row(2, "page"), row(1, "page")], ids);
    expect(rows).toEqual([row(3, "live"), row(2, "live"), row(1, "page")]);
  });

  it("are in one order, however late each row came: the pages have what came while the stream was away", () => {
    const rows = withNewer([row(9, "live"), row(2, "live")], [row(10, "page"), row(2, "page"), row(1, "page")], ids);
    expect(rows.map((each) => each.id)).toEqual([10, 9, 2, 1]);
  });
});
