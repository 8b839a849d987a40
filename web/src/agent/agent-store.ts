/**
 * The key of this browser for whoever is signed in: whether it may be used, and requests signed with it. It lives
 * outside React, for orders are sent from many places; `useAgent` shows it.
 */

import { api, ApiProblem, NoAnswer, readAnswer, type Schemas } from "../api/client";
import { type Deployment, fetchDeployment } from "../api/deployment";
import type { Signer } from "../wallet/signer";
import { approvalOf, approvalPurpose, approvalRequest, approvalTypedData, browserName } from "./approval";
import { type AgentKey, deleteKey, nextNonce, readKey, readKeysOf, slot, writeKey } from "./key-store";
import { hasEd25519, newKey, signedHeaders } from "./signing";

export type AgentState = "none" | "ready" | "revoked" | "expired";

export interface AgentSnapshot {
  readonly state: AgentState;
  /** False where the browser has no Ed25519: then orders go with the session. */
  readonly supported: boolean;
  /** Whether it has been looked up yet. */
  readonly settled: boolean;
  readonly key: string | null;
  readonly name: string | null;
  readonly expiresMs: number | null;
}

/** What became of a key that is not wanted any more. `untilMs`: the exchange was not told, and takes it for good until then. */
export type KeyEnd = { readonly kind: "none" | "revoked" } | { readonly kind: "left"; readonly untilMs: number };

type Method = "GET" | "POST" | "PATCH" | "DELETE";

const NOTHING: AgentSnapshot = {
  state: "none",
  supported: true,
  settled: false,
  key: null,
  name: null,
  expiresMs: null,
};
/** How long a signed request may be taken; an order that was not answered is over after that. */
export const REQUEST_LIFE_MS = 10_000;
const TIMEOUT_MS = 12_000;
const CLOCK_CODES = new Set(["nonce_off_time", "signature_expired", "signature_deadline_too_far"]);
/** The end that an order names was made by a clock that is wrong. */
const ORDER_CLOCK_CODES = new Set(["request_expired", "expiry_too_far", "request_expiry_too_far"]);
const LOOK_AGAIN_MS = 2_000;
const AGENT_CODES = new Set(["agent_revoked", "agent_expired", "agent_unknown"]);

/** The wallet that is connected is not the one that is signed in. */
export class OtherWallet extends Error {
  constructor() {
    super("This is another wallet than the one you signed in with");
    this.name = "OtherWallet";
  }
}

export class AgentStore {
  private shown: AgentSnapshot = NOTHING;
  private owner: string | null = null;
  private held: AgentKey | null = null;
  private clockAheadMs = 0;
  private supported: boolean | null = null;
  private readonly listeners = new Set<() => void>();
  private readonly otherTabs = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("exchange-agent");

  constructor() {
    this.otherTabs?.addEventListener("message", () => void this.look(false));
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): AgentSnapshot => this.shown;

  /** The exchange's time, as far as it is known to differ from this machine's. */
  nowMs(): number {
    return Date.now() + this.clockAheadMs;
  }

  /** Whom requests are for now: who waits for an answer, or for a person's yes, has to find the same one after it. */
  currentOwner(): string | null {
    return this.owner;
  }

  /** Whose key is wanted: the signed-in owner's, or nobody's. */
  setOwner(owner: string | null): void {
    if (owner === this.owner) return;
    this.owner = owner;
    this.held = null;
    this.show(NOTHING);
    if (owner !== null) void this.look(true);
  }

  /** Has the wallet approve a new key of this browser. Throws SignatureRefused, OtherWallet, ApiProblem, NoAnswer. */
  async approve(signer: Signer): Promise<void> {
    const owner = this.owner;
    if (owner === null) throw new Error("Sign in first");
    if (signer.address.toLowerCase() !== owner.toLowerCase()) throw new OtherWallet();
    const deployment = await fetchDeployment();
    await this.compareClocks();
    const { key, secret } = await newKey();
    const approval = approvalOf(key, browserName(navigator.userAgent), this.nowMs());
    const typed = approvalTypedData(deployment, owner, approval);
    const signature = await signer.signTypedData(typed, approvalPurpose(approval));
    const approved: AgentKey = {
      slot: slot(deployment.genesis_id, owner),
      key,
      secret,
      name: approval.name,
      expiresMs: approval.expires_at_s * 1_000,
      state: "active",
    };
    await writeKey(approved); // before it is handed in: an approval whose answer is lost is not lost
    await this.handIn(approvalRequest(approval, signature), approved);
    await this.take(owner, approved);
    this.otherTabs?.postMessage("changed");
  }

  /** A key was revoked, here or elsewhere; does nothing when it is not this browser's. */
  async revoked(key: string): Promise<void> {
    if (this.held?.key === key) await this.mark("revoked");
  }

  /**
   * The owner's key is not wanted here any more. Its secret, of which there is no other copy, is erased whatever
   * happens; the exchange is told as long as the owner's session lasts, else when the owner is here again.
   */
  async end(owner: string): Promise<KeyEnd> {
    let end: KeyEnd = { kind: "none" };
    for (const key of await readKeysOf(owner).catch(() => [])) {
      const one = await this.endOne(key);
      if (one.kind === "left" || end.kind === "none") end = one;
    }
    if (owner === this.owner) this.setOwner(null); // who is here again is looked up anew
    this.otherTabs?.postMessage("changed");
    return end;
  }

  private async endOne(key: AgentKey): Promise<KeyEnd> {
    if (key.state === "revoked" || key.state === "expired" || key.expiresMs <= this.nowMs()) {
      await deleteKey(key.slot).catch(() => undefined);
      return { kind: "none" };
    }
    await writeKey({ ...key, secret: null, state: "left" }).catch(() => undefined);
    try {
      await api.delete<Schemas["AgentAnswer"]>(`/v1/agents/${key.key}`);
    } catch (error) {
      if (!(error instanceof ApiProblem && error.status === 404)) return { kind: "left", untilMs: key.expiresMs };
    }
    await deleteKey(key.slot).catch(() => undefined);
    return { kind: "revoked" };
  }

  /**
   * Sends a request as the key of this browser, or with the session while there is none that may be used.
   * Throws ApiProblem, NoAnswer. What was refused because of the key shows in the state before it throws.
   */
  async request<T>(method: Method, path: string, body?: unknown): Promise<T> {
    try {
      if (this.held === null || this.shown.state !== "ready") return await this.withSession<T>(method, path, body);
      return await this.signed<T>(this.held, method, path, body);
    } catch (error) {
      if (!(error instanceof ApiProblem)) throw error;
      if (ORDER_CLOCK_CODES.has(error.code)) await this.compareClocks().catch(() => undefined);
      if (AGENT_CODES.has(error.code)) {
        await this.mark(error.code === "agent_expired" ? "expired" : "revoked");
        if (method === "DELETE") return this.withSession<T>(method, path); // cancelling must always work
      }
      throw error;
    }
  }

  private withSession<T>(method: Method, path: string, body?: unknown): Promise<T> {
    switch (method) {
      case "GET":
        return api.get<T>(path);
      case "POST":
        return api.post<T>(path, body);
      case "PATCH":
        return api.patch<T>(path, body);
      case "DELETE":
        return api.delete<T>(path);
    }
  }

  private async signed<T>(held: AgentKey, method: Method, path: string, body?: unknown, again = true): Promise<T> {
    const deployment = await fetchDeployment();
    try {
      return await this.signedOnce<T>(deployment, held, method, path, body);
    } catch (error) {
      if (!(error instanceof ApiProblem) || !again) throw error;
      if (CLOCK_CODES.has(error.code)) await this.compareClocks();
      else if (error.code !== "nonce_too_old") throw error; // that one did nothing: sign it anew
      return this.signed<T>(held, method, path, body, false);
    }
  }

  private async signedOnce<T>(
    deployment: Deployment,
    held: AgentKey,
    method: Method,
    path: string,
    body: unknown,
  ): Promise<T> {
    if (held.secret === null) throw new Error("the key has no secret any more");
    const text = body === undefined ? "" : JSON.stringify(body);
    const headers = await signedHeaders(
      { genesisId: deployment.genesis_id, host: deployment.host },
      held.key,
      held.secret,
      {
        method,
        target: path,
        body: text,
        nonce: await nextNonce(held.key, this.nowMs()),
        expiresMs: String(this.nowMs() + REQUEST_LIFE_MS),
      },
    );
    if (text !== "") headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(path, {
        method,
        credentials: "omit", // the signature says who it is
        headers,
        body: text === "" ? null : text,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (error) {
      throw new NoAnswer(error);
    }
    return readAnswer<T>(response);
  }

  private async handIn(request: Schemas["AgentRequest"], approved: AgentKey): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await api.post<Schemas["AgentAnswer"]>("/v1/agents", request); // the same again is answered the same
        return;
      } catch (error) {
        if (error instanceof ApiProblem && error.status < 500) {
          await deleteKey(approved.slot);
          throw error;
        }
        if (attempt === 3) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
  }

  /** Reads the key of this browser, and asks the exchange whether it is still good. */
  private async look(ask: boolean): Promise<void> {
    const owner = this.owner;
    if (owner === null) return;
    let deployment: Deployment;
    try {
      if (ask) await this.compareClocks();
      deployment = await fetchDeployment();
    } catch {
      setTimeout(() => void this.look(ask), LOOK_AGAIN_MS); // no answer: it is not known whether there is one
      return;
    }
    this.supported ??= await hasEd25519();
    const { supported } = this;
    let held: AgentKey | null = null;
    try {
      held = supported ? await readKey(slot(deployment.genesis_id, owner)) : null;
    } catch {
      // no IndexedDB, as in a private window of some browsers: as if there were none
    }
    if (owner !== this.owner) return;
    if (held?.state === "left") {
      if (ask) await this.endOne(held);
      held = null;
    }
    if (owner !== this.owner) return;
    this.shown = { ...this.shown, supported };
    await this.take(owner, held);
    if (held === null || !ask || this.shown.state !== "ready") return;
    try {
      const who = await this.signed<Schemas["WhoamiAnswer"]>(held, "GET", "/v1/whoami");
      if (who.address.toLowerCase() !== owner.toLowerCase()) await this.mark("revoked");
    } catch (error) {
      if (!(error instanceof ApiProblem) || owner !== this.owner) return;
      if (error.code === "agent_unknown") await this.forgetLocally(held);
      else if (AGENT_CODES.has(error.code)) await this.mark(error.code === "agent_expired" ? "expired" : "revoked");
    }
  }

  private async forgetLocally(held: AgentKey): Promise<void> {
    await deleteKey(held.slot);
    this.held = null;
    this.show({ ...NOTHING, supported: true, settled: true });
  }

  private async mark(state: "revoked" | "expired"): Promise<void> {
    if (this.held === null || this.owner === null) return;
    const marked = { ...this.held, state };
    await writeKey(marked).catch(() => undefined);
    await this.take(this.owner, marked);
    this.otherTabs?.postMessage("changed");
  }

  private async take(owner: string, held: AgentKey | null): Promise<void> {
    if (owner !== this.owner) return;
    this.held = held;
    this.show({
      state: held === null ? "none" : stateOf(held, this.nowMs()),
      supported: this.shown.supported,
      settled: true,
      key: held?.key ?? null,
      name: held?.name ?? null,
      expiresMs: held?.expiresMs ?? null,
    });
  }

  private async compareClocks(): Promise<void> {
    const asked = Date.now();
    const { time_ms } = await api.get<Schemas["TimeAnswer"]>("/v1/time");
    this.clockAheadMs = time_ms - Math.round((asked + Date.now()) / 2);
  }

  private show(snapshot: AgentSnapshot): void {
    this.shown = snapshot;
    this.listeners.forEach((listener) => listener());
  }
}

function stateOf(held: AgentKey, nowMs: number): AgentState {
  if (held.state === "left") return "none";
  if (held.state !== "active") return held.state;
  return held.expiresMs <= nowMs ? "expired" : "ready";
}

export const agentStore = new AgentStore();
