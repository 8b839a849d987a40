import { beforeEach, describe, expect, it, vi } from "vitest";

import { ApiProblem, NoAnswer, type Schemas } from "../api/client";

const { request, get } = vi.hoisted(() => ({ request: vi.fn(), get: vi.fn() }));
vi.mock("../agent/agent", () => ({ agent: { request, nowMs: () => Date.now() } }));
vi.mock("../stream/stream", () => ({ stream: { subscribe: () => () => undefined } }));
vi.mock("../session", () => ({ useSession: () => ({ status: "signed-out" }) }));
vi.mock("../api/client", async (original) => ({ ...(await original<object>()), api: { get } }));

import { newClientOrderId, placeOrder } from "./place-order";
import { refusalOf } from "./refusals";

const ORDER = { market: "ETH-USDC", side: "buy", price: "2990", size: "1" } as const;

function problem(code: string, status = 409, field: string | null = null): ApiProblem {
  return new ApiProblem({ code, status, field, detail: "details", title: "" } as Schemas["ProblemDocument"]);
}

function orders(...ids: string[]): (path: string) => Promise<unknown> {
  const items = ids.map((id) => ({ client_order_id: id, order_id: "7", status: "open" }));
  return (path) => Promise.resolve(path === "/v1/time" ? { seq: 5 } : { items });
}

beforeEach(() => {
  vi.useFakeTimers();
  request.mockReset();
  get.mockReset();
});

describe("an order that is sent", () => {
  it("has an id of its own each time, and an end", async () => {
    request.mockResolvedValue({ seq: 1, order: { order_id: "7", status: "open" }, fills: [] });
    const outcome = await placeOrder(ORDER, () => undefined);
    expect(outcome.kind).toBe("placed");
    const [method, path, body] = request.mock.calls[0] as [string, string, Record<string, unknown>];
    expect([method, path]).toEqual(["POST", "/v1/orders"]);
    expect(body["client_order_id"]).toMatch(/^web-[0-9a-f]{24}$/);
    expect(body["expires_at_ms"]).toBe(Date.now() + 10_000);
    expect(newClientOrderId()).not.toBe(newClientOrderId());
  });

  it("that is refused is refused", async () => {
    request.mockRejectedValue(problem("insufficient_funds"));
    await expect(placeOrder(ORDER, () => undefined)).rejects.toMatchObject({ code: "insufficient_funds" });
    expect(get).not.toHaveBeenCalled();
  });

  it.each([new NoAnswer("lost"), problem("outcome_unknown", 503)])("without an answer is looked up: %s", async (error) => {
    const unknown = vi.fn();
    request.mockRejectedValue(error);
    get.mockImplementation((path: string) => {
      const body = request.mock.calls[0]?.[2] as { client_order_id: string };
      return orders(body.client_order_id)(path);
    });
    await expect(placeOrder(ORDER, unknown)).resolves.toMatchObject({ kind: "placed", order: { order_id: "7" } });
    expect(unknown).toHaveBeenCalledOnce();
    expect(request).toHaveBeenCalledOnce();
  });

  it("is not called lost before it can not come any more, nor while nobody answers", async () => {
    request.mockRejectedValue(new NoAnswer("lost"));
    get.mockRejectedValue(new NoAnswer("lost"));
    let outcome: unknown = null;
    void placeOrder(ORDER, () => undefined).then((found) => {
      outcome = found;
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(outcome).toBeNull();
    get.mockImplementation(orders("another"));
    await vi.advanceTimersByTimeAsync(2_000);
    expect(outcome).toEqual({ kind: "lost" });
  });

  it("is looked for until its end has passed", async () => {
    request.mockRejectedValue(new NoAnswer("lost"));
    get.mockImplementation(orders());
    let outcome: unknown = null;
    void placeOrder(ORDER, () => undefined).then((found) => {
      outcome = found;
    });
    await vi.advanceTimersByTimeAsync(9_000);
    expect(outcome).toBeNull();
    await vi.advanceTimersByTimeAsync(6_000);
    expect(outcome).toEqual({ kind: "lost" });
  });
});

describe("a refusal", () => {
  it("stands beside the field that the exchange names, else beside the one that it is about", () => {
    expect(refusalOf(problem("price_off_tick", 422, "price")).field).toBe("price");
    expect(refusalOf(problem("field_invalid", 422, "trigger.price"))).toMatchObject({ field: "trigger", text: "Details" });
    expect(refusalOf(problem("insufficient_funds")).field).toBe("size");
    expect(refusalOf(problem("post_only_would_cross")).field).toBe("price");
    expect(refusalOf(problem("market_halted")).field).toBe("order");
    expect(refusalOf(problem("something_new"))).toMatchObject({ field: "order", text: "Details" });
    expect(refusalOf(new Error("odd")).text).toBe("odd");
  });
});
