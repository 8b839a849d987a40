import { expect, it } from "vitest";

import { lineOf, standing } from "./marks";
import type { Order } from "./open-orders";

function order(patch: object): Order {
  const base = { order_id: "7", side: "buy", type: "limit", price: "2990", remaining: "0.5", trigger: null };
  return { ...base, ...patch } as unknown as Order;
}

it("an order that stands is on the chart and in the book", () => {
  expect(lineOf(order({}))).toEqual({ id: "7", side: "buy", price: "2990", remaining: "0.5", waitsAs: null });
  expect(standing(order({}))).toEqual({ side: "buy", price: "2990", remaining: "0.5" });
});

it("an order that waits is on the chart where it waits, and in no book before its trigger is met", () => {
  const trigger = { type: "stop", price: "2900", met: false };
  expect(lineOf(order({ trigger }))).toMatchObject({ price: "2900", waitsAs: "Stop" });
  expect(lineOf(order({ trigger: { ...trigger, type: "take_profit" } }))?.waitsAs).toBe("Take profit");
  expect(standing(order({ trigger }))).toBeNull();
  expect(standing(order({ trigger: { ...trigger, met: true } }))?.price).toBe("2990");
});

it("a market order is in no book", () => {
  expect(standing(order({ type: "market" }))).toBeNull();
});
