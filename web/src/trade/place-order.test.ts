import { beforeEach, describe, expect, it, vi } from "vitest";

import { ApiProblem, NoAnswer, type Schemas } from "../api/client";

const { request, world } = vi.hoisted(() => ({ request: vi.fn(), world: { owner: "0xA", behindMs: 0 } }));
vi.mock("../agent/agent", () => ({ agent: { request, nowMs: () => Date.now(), owner: () => world.owner } }));
vi.mock("../stream/stream", () => ({ stream: { subscribe: () => () => undefined } }));
vi.mock("../session", () => ({ useSession: () => ({ status: "signed-out" }) }));
vi.mock("../api/client", async (original) => ({
  ...(await original<object>()),
  api: { get: () => Promise.resolve({ seq: 5, decided_until_ms: Date.now() - world.behindMs }) },
}));

import { newClientOrderId, placeOrder } from "./place-order";
import { refusalOf } from "./refusals";

const ORDER = { market: "ETH-USDC", side: "buy", price: "2990", size: "1" } as const;

function problem(code: string, status = 409, field: string | null = null): ApiProblem {
  return new ApiProblem({ code, status, field, detail: "details", title: "" } as Schemas["ProblemDocument"]);
}

/** What becomes of the order that is sent, and the pages of orders that the exchange then has (null: no answer). */
function exchange(answer: Error | object, pages: (sent: string) => readonly (readonly string[])[] | null): void {
  let sent = "";
  request.mockImplementation((method: string, path: string, body?: { client_order_id: string }) => {
    if (method === "POST") {
      sent = body?.client_order_id ?? "";
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    }
    const all = pages(sent);
    if (all === null) return Promise.reject(new NoAnswer("lost"));
    const at = Number(new URLSearchParams(path.split("?")[1]).get("cursor") ?? "0");
    const items = (all[at] ?? []).map((id) => ({ client_order_id: id, order_id: "7", status: "open" }));
    return Promise.resolve({ items, next_cursor: at + 1 < all.length ? String(at + 1) : null });
  });
}

function placements(): unknown[][] {
  return request.mock.calls.filter(([method]) => method === "POST");
}

/** Sends, and lets so much time pass. What came of it so far; null: nothing yet. */
async function outcomeAfter(ms: number): Promise<() => unknown> {
  let outcome: unknown = null;
  void placeOrder(ORDER, () => undefined).then((found) => {
    outcome = found;
  });
  await vi.advanceTimersByTimeAsync(ms);
  return () => outcome;
}

beforeEach(() => {
  vi.useFakeTimers();
  request.mockReset();
  world.owner = "0xA";
  world.behindMs = 0;
});

describe("an order that is sent", () => {
  it("has an id of its own each time, and an end", async () => {
    exchange({ seq: 1, order: { order_id: "7", status: "open" }, fills: [] }, () => []);
    const outcome = await placeOrder(ORDER, () => undefined);
    expect(outcome.kind).toBe("placed");
    const [method, path, body] = request.mock.calls[0] as [string, string, Record<string, unknown>];
    expect([method, path]).toEqual(["POST", "/v1/orders"]);
    expect(body["client_order_id"]).toMatch(/^web-[0-9a-f]{24}$/);
    expect(body["expires_at_ms"]).toBe(Date.now() + 10_000);
    expect(newClientOrderId()).not.toBe(newClientOrderId());
  });

  it("that is refused is refused", async () => {
    exchange(problem("insufficient_funds"), () => []);
    await expect(placeOrder(ORDER, () => undefined)).rejects.toMatchObject({ code: "insufficient_funds" });
    expect(request).toHaveBeenCalledOnce();
  });

  const unknown = [new NoAnswer("lost"), problem("outcome_unknown", 503), problem("nonce_used", 401)];
  it.each(unknown)("without an answer is looked up, on every page: %s", async (error) => {
    const told = vi.fn();
    exchange(error, (sent) => [["others"], ["more"], [sent]]);
    await expect(placeOrder(ORDER, told)).resolves.toMatchObject({ kind: "placed", order: { order_id: "7" } });
    expect(told).toHaveBeenCalledOnce();
    expect(placements()).toHaveLength(1);
  });

  it("is not called lost while nobody answers", async () => {
    let answers = false;
    exchange(new NoAnswer("lost"), () => (answers ? [["another"]] : null));
    const outcome = await outcomeAfter(60_000);
    expect(outcome()).toBeNull();
    answers = true;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(outcome()).toEqual({ kind: "lost" });
  });

  it("is not called lost before it can not come any more", async () => {
    exchange(new NoAnswer("lost"), () => [[]]);
    const outcome = await outcomeAfter(9_000);
    expect(outcome()).toBeNull();
    await vi.advanceTimersByTimeAsync(6_000);
    expect(outcome()).toEqual({ kind: "lost" });
    expect(placements()).toHaveLength(1);
  });

  it("is not called lost while the exchange may still be keeping it", async () => {
    world.behindMs = 8_000;
    exchange(new NoAnswer("lost"), () => [[]]);
    const outcome = await outcomeAfter(17_000);
    expect(outcome()).toBeNull();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(outcome()).toEqual({ kind: "lost" });
  });

  it("is not called lost because another account does not have it", async () => {
    exchange(new NoAnswer("lost"), () => [["of somebody else"]]);
    const outcome = await outcomeAfter(3_000);
    world.owner = "0xB";
    await vi.advanceTimersByTimeAsync(60_000);
    expect(outcome()).toEqual({ kind: "unseen" });
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
