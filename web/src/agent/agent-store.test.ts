import "fake-indexeddb/auto";

import { beforeEach, describe, expect, it, vi } from "vitest";

import type { Signer } from "../wallet/signer";

const OWNER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const kept = vi.hoisted(() => new Map<string, unknown>());

// Node's CryptoKeys can not be cloned by the imitation of IndexedDB; the nonces are the real ones.
vi.mock("./key-store", async (original) => ({
  ...(await original<typeof import("./key-store")>()),
  readKeysOf: () => Promise.resolve([...kept.values()]),
  readKey: (at: string) => Promise.resolve(kept.get(at) ?? null),
  writeKey: (key: { slot: string }) => Promise.resolve(void kept.set(key.slot, key)),
  deleteKey: (at: string) => Promise.resolve(void kept.delete(at)),
}));
vi.mock("../api/deployment", () => ({
  fetchDeployment: () =>
    Promise.resolve({
      genesis_id: "0x5f",
      host: "exchange.example",
      chain_id: 31337,
      vault: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
      agent_approval_typed_data: {
        domain: {},
        primary_type: "AgentApproval",
        types: {
          AgentApproval: [
            ["account", "address"],
            ["key", "string"],
            ["name", "string"],
            ["scopes", "string[]"],
            ["markets", "string[]"],
            ["subAccounts", "uint8[]"],
            ["expires", "uint64"],
            ["ipRanges", "string[]"],
            ["nonce", "uint256"],
            ["deadline", "uint256"],
          ].map(([name, type]) => ({ name, type })),
        },
      },
    }),
}));

import { AgentStore, OtherWallet } from "./agent-store";

/** What the exchange answers, by method and path; and what it was asked. */
const answers = new Map<string, () => Response>();
const asked: { method: string; path: string; headers: Record<string, string> }[] = [];

function json(status: number, content: object): () => Response {
  return () => Response.json(content, { status });
}

function refusal(code: string, status = 401): () => Response {
  return json(status, { code, status, detail: code, title: code });
}

vi.stubGlobal("navigator", { userAgent: "Chrome/1 Linux" });
vi.stubGlobal("fetch", (path: string, init: RequestInit) => {
  const method = init.method ?? "GET";
  asked.push({ method, path, headers: init.headers as Record<string, string> });
  const answer = answers.get(`${method} ${path}`);
  return answer === undefined ? Promise.reject(new TypeError("no network")) : Promise.resolve(answer());
});

function signer(address: string = OWNER): Signer {
  return { address, signTypedData: () => Promise.resolve("0xsigned") } as unknown as Signer;
}

async function signedIn(): Promise<AgentStore> {
  const store = new AgentStore();
  store.setOwner(OWNER);
  await vi.waitFor(() => expect(store.snapshot().settled).toBe(true));
  return store;
}

async function ready(): Promise<AgentStore> {
  const store = await signedIn();
  await store.approve(signer());
  return store;
}

beforeEach(() => {
  kept.clear();
  asked.length = 0;
  answers.clear();
  answers.set("GET /v1/time", () => Response.json({ seq: 1, time_ms: Date.now() }));
  answers.set("POST /v1/agents", json(201, {}));
  answers.set("GET /v1/whoami", json(200, { address: OWNER }));
  answers.set("POST /v1/orders", json(201, { seq: 2 }));
});

describe("the key of this browser", () => {
  it("is none at first, and then ready, and signs", async () => {
    const store = await signedIn();
    expect(store.snapshot()).toMatchObject({ state: "none", supported: true });
    await store.approve(signer());
    expect(store.snapshot()).toMatchObject({ state: "ready", name: "Chrome on Linux" });
    await store.request("POST", "/v1/orders", { market: "ETH-USDC" });
    expect(asked.at(-1)?.headers["Exchange-Key"]).toBe(store.snapshot().key);
  });

  it("is found again, and asked about, when the page is opened anew", async () => {
    await ready();
    const again = await signedIn();
    expect(again.snapshot().state).toBe("ready");
    await vi.waitFor(() => expect(asked.at(-1)?.path).toBe("/v1/whoami"));
  });

  it("is not approved by another wallet than the one that is signed in", async () => {
    const store = await signedIn();
    await expect(store.approve(signer("0x70997970C51812dc3A010C7d01b50e0d17dc79C8"))).rejects.toThrow(OtherWallet);
  });

  it("is forgotten when its approval is refused", async () => {
    answers.set("POST /v1/agents", refusal("too_many_agents", 409));
    const store = await signedIn();
    await expect(store.approve(signer())).rejects.toMatchObject({ code: "too_many_agents" });
    expect(kept.size).toBe(0);
    expect(store.snapshot().state).toBe("none");
  });

  it("shows that it was revoked when an order is refused for it, and cancels with the session", async () => {
    const store = await ready();
    answers.set("POST /v1/orders", refusal("agent_revoked"));
    await expect(store.request("POST", "/v1/orders", {})).rejects.toMatchObject({ code: "agent_revoked" });
    expect(store.snapshot().state).toBe("revoked");
    answers.set("DELETE /v1/orders/7", json(200, { seq: 3 }));
    await store.request("DELETE", "/v1/orders/7");
    expect(asked.at(-1)?.headers["Exchange-Key"]).toBeUndefined();
  });

  it("shows that it was revoked when the page is opened anew", async () => {
    await ready();
    answers.set("GET /v1/whoami", refusal("agent_revoked"));
    const again = await signedIn();
    await vi.waitFor(() => expect(again.snapshot().state).toBe("revoked"));
  });

  it("is none where the exchange has never heard of it", async () => {
    await ready();
    answers.set("GET /v1/whoami", refusal("agent_unknown"));
    const again = await signedIn();
    await vi.waitFor(() => expect(again.snapshot().state).toBe("none"));
    expect(kept.size).toBe(0);
  });

  it("is looked for until the exchange answers", async () => {
    await ready();
    vi.useFakeTimers();
    answers.delete("GET /v1/time");
    const store = new AgentStore();
    store.setOwner(OWNER);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(store.snapshot().settled).toBe(false);
    answers.set("GET /v1/time", () => Response.json({ seq: 1, time_ms: Date.now() }));
    vi.useRealTimers();
    const again = await signedIn();
    expect(again.snapshot().state).toBe("ready");
  });

  it("compares clocks before it signs anything", async () => {
    await ready();
    asked.length = 0;
    await signedIn();
    await vi.waitFor(() => expect(asked.map(({ path }) => path)).toEqual(["/v1/time", "/v1/whoami"]));
  });

  it("is over when its time is", async () => {
    await ready();
    const [at, key] = [...kept.entries()][0] ?? ["", {}];
    kept.set(at, { ...(key as object), expiresMs: Date.now() - 1 });
    expect((await signedIn()).snapshot().state).toBe("expired");
  });

  it("compares clocks and signs anew when its time is off", async () => {
    const store = await ready();
    answers.set("GET /v1/time", () => Response.json({ seq: 1, time_ms: Date.now() + 3_600_000 }));
    let first = true;
    answers.set("POST /v1/orders", () => {
      const answer = first ? refusal("nonce_off_time")() : Response.json({ seq: 4 }, { status: 201 });
      first = false;
      return answer;
    });
    await expect(store.request("POST", "/v1/orders", {})).resolves.toEqual({ seq: 4 });
    const nonce = Number(asked.at(-1)?.headers["Exchange-Nonce"]) / 1_000;
    expect(Math.abs(nonce - Date.now() - 3_600_000)).toBeLessThan(5_000);
  });

  it("is nobody's after signing out", async () => {
    const store = await ready();
    store.setOwner(null);
    expect(store.snapshot()).toMatchObject({ state: "none", key: null });
    await store.request("POST", "/v1/orders", {});
    expect(asked.at(-1)?.headers["Exchange-Key"]).toBeUndefined();
  });
});

describe("the key of who leaves", () => {
  it("is revoked at the exchange and erased here", async () => {
    const store = await ready();
    const { key } = store.snapshot();
    answers.set(`DELETE /v1/agents/${key ?? ""}`, json(200, { seq: 3 }));
    expect(await store.end(OWNER)).toEqual({ kind: "revoked" });
    expect(asked.at(-1)).toMatchObject({ method: "DELETE", path: `/v1/agents/${key ?? ""}` });
    expect(kept.size).toBe(0);
    expect(store.snapshot()).toMatchObject({ state: "none", key: null });
  });

  it("has lost its secret when the exchange does not answer, and is revoked when its owner is here again", async () => {
    const store = await ready();
    const { key, expiresMs } = store.snapshot();
    expect(await store.end(OWNER)).toEqual({ kind: "left", untilMs: expiresMs });
    expect([...kept.values()]).toMatchObject([{ key, secret: null, state: "left" }]);
    answers.set(`DELETE /v1/agents/${key ?? ""}`, json(200, { seq: 3 }));
    store.setOwner(OWNER);
    await vi.waitFor(() => expect(store.snapshot()).toMatchObject({ state: "none", settled: true }));
    expect(asked.at(-1)).toMatchObject({ method: "DELETE", path: `/v1/agents/${key ?? ""}` });
    expect(kept.size).toBe(0);
  });

  it("is not asked about when it is over anyway, or unknown to the exchange", async () => {
    const store = await ready();
    const { key } = store.snapshot();
    answers.set(`DELETE /v1/agents/${key ?? ""}`, refusal("agent_unknown", 404));
    expect(await store.end(OWNER)).toEqual({ kind: "revoked" });
    expect(await store.end(OWNER)).toEqual({ kind: "none" });
    store.setOwner(OWNER);
    await store.approve(signer());
    await store.revoked(store.snapshot().key ?? "");
    asked.length = 0;
    expect(await store.end(OWNER)).toEqual({ kind: "none" });
    expect(asked).toEqual([]);
    expect(kept.size).toBe(0);
  });
});
