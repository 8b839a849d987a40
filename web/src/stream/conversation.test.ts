import { beforeEach, describe, expect, it } from "vitest";

import { Conversation, LEAVE_AFTER_MS } from "./conversation";
import type { Frame } from "./frames";
import type { StreamMessage, Subject } from "./subjects";

type Request = Record<string, unknown> & { op: string; id: string };

/** The world of a conversation, with a clock that is moved by hand. */
class World {
  sent: Request[] = [];
  reconnects: string[] = [];
  now = 0;
  private timers: { at: number; then: () => void }[] = [];

  readonly conversation = new Conversation({
    send: (request) => this.sent.push(request as Request),
    reconnect: (reason) => {
      this.reconnects.push(reason);
      this.conversation.onLost();
    },
    later: (ms, then) => this.timers.push({ at: this.now + ms, then }),
    now: () => this.now,
  });

  frame(frame: unknown): void {
    this.conversation.onFrame(frame as Frame);
  }

  welcome(genesisId = "0x1", seq = 0): void {
    this.frame({ type: "welcome", seq, time_ms: 0, genesis_id: genesisId });
  }

  /** Answers the newest request. */
  answer(fields: Record<string, unknown>): void {
    this.frame({ ...fields, id: this.newest.id });
  }

  get newest(): Request {
    const request = this.sent.at(-1);
    if (request === undefined) throw new Error("nothing was sent");
    return request;
  }

  ops(): string[] {
    return this.sent.map((request) => request.op);
  }

  pass(ms: number): void {
    this.now += ms;
    const due = this.timers.filter((timer) => timer.at <= this.now);
    this.timers = this.timers.filter((timer) => timer.at > this.now);
    for (const timer of due) timer.then();
  }
}

const BOOK: Subject = { channel: "book", market: "ETH-USDC" };
const ORDERS: Subject = { channel: "orders" };
const of = (subject: Subject, type: string, fields: Record<string, unknown>) => ({ type, time_ms: 5, ...subject, ...fields });

let world: World;
let told: StreamMessage<unknown>[];
const tell = (message: StreamMessage<unknown>): void => void told.push(message);
const kinds = (): string[] => told.map((message) => `${message.kind} ${message.seq}`);

beforeEach(() => {
  world = new World();
  told = [];
});

function live(seq = 10): void {
  world.conversation.subscribe(BOOK, tell);
  world.welcome();
  world.answer({ type: "subscribed", ...BOOK, resumed: false, seq });
  world.frame(of(BOOK, "snapshot", { seq, data: "all" }));
}

describe("a subscription", () => {
  it("is asked for once there is a connection, and tells the snapshot and what follows", () => {
    world.conversation.subscribe(BOOK, tell);
    expect(world.sent).toEqual([]);
    world.welcome();
    expect(world.newest).toEqual({ op: "subscribe", channel: "book", market: "ETH-USDC", id: "1" });
    world.answer({ type: "subscribed", ...BOOK, resumed: false, seq: 10 });
    world.frame(of(BOOK, "snapshot", { seq: 10, data: "all" }));
    world.frame(of(BOOK, "update", { prev_seq: 10, seq: 12, data: "some" }));
    expect(kinds()).toEqual(["snapshot 10", "update 12"]);
  });

  it("takes an update that builds on something older, and one of the same seq", () => {
    live();
    world.frame(of(BOOK, "update", { prev_seq: 4, seq: 11, data: 1 }));
    world.frame(of(BOOK, "update", { prev_seq: 11, seq: 11, data: 2 }));
    expect(kinds()).toEqual(["snapshot 10", "update 11", "update 11"]);
  });

  it("passes over what it has had", () => {
    live();
    world.frame(of(BOOK, "update", { prev_seq: 4, seq: 9, data: 1 }));
    expect(kinds()).toEqual(["snapshot 10"]);
  });

  it("begins again when something is missing, and shows nothing until the snapshot", () => {
    live();
    world.frame(of(BOOK, "update", { prev_seq: 11, seq: 12, data: 1 }));
    expect(world.newest).toMatchObject({ op: "subscribe", channel: "book" });
    expect(world.newest).not.toHaveProperty("resume_seq");
    world.frame(of(BOOK, "update", { prev_seq: 12, seq: 13, data: 2 }));
    world.answer({ type: "subscribed", ...BOOK, resumed: false, seq: 13 });
    world.frame(of(BOOK, "snapshot", { seq: 13, data: "all" }));
    expect(kinds()).toEqual(["snapshot 10", "snapshot 13"]);
  });

  it("does not begin again at once for ever", () => {
    live();
    world.conversation.resync(BOOK);
    expect(world.sent).toHaveLength(2);
    world.answer({ type: "subscribed", ...BOOK, resumed: false, seq: 11 });
    world.frame(of(BOOK, "snapshot", { seq: 11, data: "all" }));
    world.conversation.resync(BOOK);
    expect(world.sent).toHaveLength(2);
    world.frame(of(BOOK, "snapshot", { seq: 12, data: "of the one that is given up" }));
    expect(told).toHaveLength(2);
    world.pass(10_000);
    expect(world.sent).toHaveLength(3);
    world.answer({ type: "subscribed", ...BOOK, resumed: false, seq: 13 });
    world.frame(of(BOOK, "snapshot", { seq: 13, data: "all" }));
    world.frame(of(BOOK, "update", { prev_seq: 13, seq: 14, data: "some" }));
    expect(kinds()).toEqual(["snapshot 10", "snapshot 11", "snapshot 13", "update 14"]);
  });

  it("goes on where it stopped on the next connection; heartbeats count", () => {
    live();
    world.frame({ type: "heartbeat", seq: 40, time_ms: 6 });
    world.conversation.onLost();
    world.welcome();
    expect(world.newest).toMatchObject({ op: "subscribe", resume_seq: 40 });
    world.answer({ type: "subscribed", ...BOOK, resumed: true, seq: 40 });
    world.frame(of(BOOK, "update", { prev_seq: 40, seq: 41, data: 1 }));
    expect(kinds()).toEqual(["snapshot 10", "update 41"]);
  });

  it("begins anew when another exchange answers at the address", () => {
    live();
    world.conversation.onLost();
    world.welcome("0x2");
    expect(world.newest).not.toHaveProperty("resume_seq");
  });

  it("is made afresh for somebody who joins later, for they need a snapshot", () => {
    live();
    const later: string[] = [];
    world.conversation.subscribe(BOOK, (message) => later.push(message.kind));
    expect(world.newest.op).toBe("subscribe");
    world.frame(of(BOOK, "update", { prev_seq: 10, seq: 11, data: 1 })); // of the one before
    world.answer({ type: "subscribed", ...BOOK, resumed: false, seq: 11 });
    world.frame(of(BOOK, "snapshot", { seq: 11, data: "all" }));
    expect(kinds()).toEqual(["snapshot 10", "update 11", "snapshot 11"]);
    expect(later).toEqual(["snapshot"]);
  });

  it("ends a while after the last follower has left, and not if one comes back", () => {
    world.welcome();
    const stop = world.conversation.subscribe(BOOK, tell);
    stop();
    const stopAgain = world.conversation.subscribe(BOOK, tell);
    world.pass(LEAVE_AFTER_MS);
    expect(world.ops()).toEqual(["subscribe"]);
    stopAgain();
    world.pass(LEAVE_AFTER_MS);
    expect(world.ops()).toEqual(["subscribe", "unsubscribe"]);
  });

  it("is tried again when it is refused for a while, and ends when for good", () => {
    world.welcome();
    world.conversation.subscribe(BOOK, tell);
    world.answer({ type: "error", code: "unavailable", detail: "", retry_after_s: 2 });
    world.pass(1_999);
    expect(world.sent).toHaveLength(1);
    world.pass(1);
    expect(world.sent).toHaveLength(2);
    world.answer({ type: "error", code: "unknown_market", detail: "" });
    expect(told).toMatchObject([{ kind: "ended", code: "unknown_market" }]);
    world.pass(60_000);
    expect(world.sent).toHaveLength(2);
  });
});

describe("who is signed in", () => {
  function signedIn(): void {
    world.conversation.subscribe(ORDERS, tell);
    world.welcome();
    world.conversation.authenticate("0xA");
    world.answer({ type: "authenticated", owner: "0xa" });
  }

  it("is waited for by private subscriptions", () => {
    world.conversation.subscribe(ORDERS, tell);
    world.welcome();
    expect(world.sent).toEqual([]);
    world.conversation.authenticate("0xA");
    expect(world.newest).toMatchObject({ op: "auth" });
    world.answer({ type: "authenticated", owner: "0xa" });
    expect(world.newest).toMatchObject({ op: "subscribe", channel: "orders", sub_account: 0 });
    expect(world.conversation.owner).toBe("0xa");
  });

  it("is told again on the next connection, before what is private goes on", () => {
    signedIn();
    world.answer({ type: "subscribed", ...ORDERS, sub_account: 0, resumed: false, seq: 3 });
    world.frame(of(ORDERS, "snapshot", { sub_account: 0, seq: 3, data: [] }));
    world.conversation.onLost();
    world.sent = [];
    world.welcome();
    expect(world.ops()).toEqual(["auth"]);
    world.answer({ type: "authenticated", owner: "0xa" });
    expect(world.newest).toMatchObject({ op: "subscribe", resume_seq: 3 });
  });

  it("is looked for on another connection when the cookie is younger than this one, once", () => {
    world.conversation.subscribe(ORDERS, tell);
    world.welcome();
    world.conversation.authenticate("0xA");
    world.answer({ type: "error", code: "unauthenticated", detail: "" });
    expect(world.reconnects).toHaveLength(1);
    world.welcome();
    world.answer({ type: "error", code: "unauthenticated", detail: "" });
    expect(world.reconnects).toHaveLength(1);
    world.welcome();
    expect(world.ops()).toEqual(["auth", "auth"]);
  });

  it("needs another connection for another person, and nothing of the first is gone on with", () => {
    signedIn();
    world.answer({ type: "subscribed", ...ORDERS, sub_account: 0, resumed: false, seq: 3 });
    world.frame(of(ORDERS, "snapshot", { sub_account: 0, seq: 3, data: [] }));
    world.conversation.authenticate("0xA");
    expect(world.reconnects).toHaveLength(0);
    world.conversation.authenticate("0xB");
    expect(told.at(-1)).toMatchObject({ kind: "ended" });
    expect(world.reconnects).toHaveLength(1);
    world.welcome();
    world.answer({ type: "authenticated", owner: "0xb" });
    expect(world.newest).not.toHaveProperty("resume_seq");
  });

  it("who has come by another tab is not taken for the one that this page shows", () => {
    signedIn();
    world.conversation.onLost();
    world.welcome();
    world.answer({ type: "authenticated", owner: "0xb" }); // perhaps the cookie was too old: once more
    expect(world.reconnects).toHaveLength(1);
    world.welcome();
    world.answer({ type: "authenticated", owner: "0xb" });
    expect(told.at(-1)).toMatchObject({ kind: "ended", code: "unauthenticated" });
    expect(world.newest.op).toBe("auth");
    expect([world.conversation.owner, world.conversation.isRefused]).toEqual([null, true]);
  });

  it("is told to followers when it ends, and they begin again after signing in", () => {
    signedIn();
    world.answer({ type: "subscribed", ...ORDERS, sub_account: 0, resumed: false, seq: 3 });
    world.frame(of(ORDERS, "snapshot", { sub_account: 0, seq: 3, data: [] }));
    world.frame(of(ORDERS, "ended", { sub_account: 0, code: "session_invalid" }));
    expect(told.at(-1)).toMatchObject({ kind: "ended", code: "session_invalid" });
    expect(world.conversation.owner).toBeNull();
    world.conversation.authenticate("0xA");
    world.welcome();
    world.answer({ type: "authenticated", owner: "0xa" });
    expect(world.newest).toMatchObject({ op: "subscribe", channel: "orders" });
    expect(world.newest).not.toHaveProperty("resume_seq");
  });
});

it("measures how long an answer takes, and tells when none will come", () => {
  const measured: (number | null)[] = [];
  world.conversation.ping((ms) => measured.push(ms));
  world.welcome();
  world.conversation.ping((ms) => measured.push(ms));
  world.now = 12;
  world.answer({ type: "pong", seq: 4, time_ms: 0 });
  world.conversation.ping((ms) => measured.push(ms));
  world.conversation.onLost();
  expect(measured).toEqual([null, 12, null]);
});
