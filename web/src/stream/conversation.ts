/**
 * What is said over a WebSocket to the exchange, without the WebSocket: frames in, frames out. It outlives its
 * connections: what was subscribed to is subscribed to again on the next one, from where it stopped if that can be.
 *
 * Who is signed in comes by the cookie of the upgrade. So somebody who signs in later needs another connection.
 */

import { delayMs } from "./backoff";
import type { DataFrame, Frame, ReplyFrame } from "./frames";
import { isPrivate, keyOf, parametersOf, type Subject } from "./subjects";
import { type Follower, Topic } from "./topic";

/** What it needs of the world. */
export interface Wire {
  send(request: Record<string, unknown>): void;
  /** Give up this connection and have another one soon. */
  reconnect(reason: string): void;
  later(ms: number, then: () => void): void;
  now(): number;
}

/** A subscription nobody follows is kept for a moment: pages that change often come back to it. */
export const LEAVE_AFTER_MS = 2_000;
const RETRIED: ReadonlySet<string> = new Set(["unavailable", "rate_limited", "overloaded", "internal_error", "not_yet"]);
const NOBODY: ReadonlySet<string> = new Set(["unauthenticated", "session_invalid", "session_expired"]);

type SignIn = "not asked" | "asked" | "signed in" | "refused";
type Answer = (reply: ReplyFrame | null) => void;

export class Conversation {
  /** The newest seq that anything came with. */
  seq = 0;
  /** Whose private subscriptions these are; null for nobody's. */
  owner: string | null = null;
  isOpen = false;

  private readonly topics = new Map<string, Topic>();
  private readonly answers = new Map<string, Answer>();
  private genesisId: string | null = null;
  private lastId = 0;
  private signIn: SignIn = "not asked";
  private wantsSignIn = false;
  /** Who the page says has signed in, if it said so. */
  private expected: string | null = null;
  /** Whether another connection is tried when nobody is known on this one. */
  private maySignInAgain = true;
  private connection = 0;

  constructor(private readonly wire: Wire) {}

  // ---- what the page asks for

  subscribe(subject: Subject, follower: Follower): () => void {
    const key = keyOf(subject);
    let topic = this.topics.get(key);
    if (topic === undefined) {
      topic = new Topic(subject);
      this.topics.set(key, topic);
    }
    topic.add(follower);
    if (topic.phase === "refused") topic.phase = "off";
    this.sync(topic);
    const joined = topic;
    return () => this.leave(joined, follower);
  }

  /** What its followers hold is wrong: it begins anew with a snapshot. */
  resync(subject: Subject): void {
    const topic = this.topics.get(keyOf(subject));
    if (topic !== undefined) this.beginAnew(topic);
  }

  /**
   * Somebody has signed in. With `owner` it is known who: then nothing is done when the connection speaks for them
   * already.
   */
  authenticate(owner?: string): void {
    if (this.signIn === "signed in" && owner !== undefined && sameOwner(owner, this.owner)) return;
    // What one person has is not left standing under the name of another.
    if (this.owner !== null && owner !== undefined && !sameOwner(owner, this.owner)) this.endPrivate("unauthenticated");
    this.wantsSignIn = true;
    this.expected = owner ?? null;
    this.maySignInAgain = true;
    if (!this.isOpen || this.signIn === "asked") return;
    if (this.signIn === "not asked") {
      this.askToSignIn();
    } else {
      this.wire.reconnect("somebody else has signed in");
    }
  }

  /** Nobody is signed in any more: private subscriptions end now, whatever the exchange says about it. */
  signedOut(code: string): void {
    this.wantsSignIn = false;
    if (this.signIn !== "not asked") this.signIn = "refused";
    this.endPrivate(code);
  }

  private endPrivate(code: string): void {
    this.owner = null;
    for (const topic of this.topics.values()) {
      if (!isPrivate(topic.subject.channel)) continue;
      topic.phase = "off";
      topic.end(code, this.wire.now());
    }
  }

  /** Somebody was to be signed in here, and the exchange says that it is nobody, or somebody else. */
  get isRefused(): boolean {
    return this.signIn === "refused";
  }

  /** Asks how long an answer takes; null when the connection was lost before it came. */
  ping(then: (ms: number | null) => void): void {
    if (!this.isOpen) return then(null);
    const began = this.wire.now();
    this.request({ op: "ping" }, (reply) => then(reply?.type === "pong" ? this.wire.now() - began : null));
  }

  // ---- what the connection tells

  onLost(): void {
    this.isOpen = false;
    this.connection += 1;
    this.signIn = "not asked";
    for (const topic of this.topics.values()) if (topic.phase !== "refused") topic.phase = "off";
    const waiting = [...this.answers.values()];
    this.answers.clear();
    for (const answer of waiting) answer(null);
  }

  onFrame(frame: Frame): void {
    if ("seq" in frame && frame.seq > this.seq) this.seq = frame.seq;
    switch (frame.type) {
      case "welcome":
        return this.onWelcome(frame.genesis_id, frame.seq);
      case "heartbeat":
        for (const topic of this.topics.values()) topic.onHeartbeat(frame.seq);
        return;
      case "snapshot":
      case "update":
        return this.onData(frame);
      case "ended":
        return this.signedOut(frame.code);
      default: {
        const answer = frame.id === undefined ? undefined : this.answers.get(frame.id);
        if (frame.id !== undefined) this.answers.delete(frame.id);
        answer?.(frame);
      }
    }
  }

  private onWelcome(genesisId: string, seq: number): void {
    this.isOpen = true;
    if (this.genesisId !== null && this.genesisId !== genesisId) {
      // Another exchange answers here now: its sequence numbers mean nothing to what is held.
      this.seq = seq;
      for (const topic of this.topics.values()) topic.forget();
    }
    this.genesisId = genesisId;
    if (this.wantsSignIn) this.askToSignIn();
    for (const topic of [...this.topics.values()]) this.sync(topic);
  }

  private onData(frame: DataFrame): void {
    const topic = this.topics.get(keyOf(frame));
    if (topic?.take(frame) === "gap") this.beginAnew(topic);
  }

  // ---- subscriptions

  private leave(topic: Topic, follower: Follower): void {
    topic.remove(follower);
    if (topic.isFollowed || topic.isLeaving) return;
    topic.isLeaving = true;
    this.wire.later(LEAVE_AFTER_MS, () => {
      if (!topic.isLeaving || topic.isFollowed || this.topics.get(topic.key) !== topic) return;
      this.topics.delete(topic.key);
      if (this.isOpen && (topic.phase === "asked" || topic.phase === "begun" || topic.phase === "live")) {
        this.request({ op: "unsubscribe", ...parametersOf(topic.subject) }, () => undefined);
      }
    });
  }

  /** Takes the next step from where a topic stands to where it is wanted. */
  private sync(topic: Topic): void {
    if (!this.isOpen || this.topics.get(topic.key) !== topic) return;
    if (isPrivate(topic.subject.channel) && this.signIn !== "signed in") return;
    const isToBegin = topic.phase === "off" || (topic.phase === "live" && topic.needsSnapshot);
    if (!isToBegin || !topic.isFollowed) return;
    const resumeSeq = topic.phase === "off" ? topic.resumeSeq : null;
    topic.phase = "asked";
    const resume = resumeSeq === null ? {} : { resume_seq: resumeSeq };
    this.request({ op: "subscribe", ...parametersOf(topic.subject), ...resume }, (reply) => this.onAsked(topic, reply));
  }

  private onAsked(topic: Topic, reply: ReplyFrame | null): void {
    if (reply === null || topic.phase !== "asked") return;
    if (reply.type === "subscribed") {
      topic.onSubscribed(reply.resumed);
      this.sync(topic);
    } else if (reply.type === "error" && RETRIED.has(reply.code)) {
      this.wait(topic, (reply.retry_after_s ?? 0) * 1_000);
    } else if (reply.type === "error" && isPrivate(topic.subject.channel) && NOBODY.has(reply.code)) {
      topic.phase = "off";
      this.onNobody(reply.code);
    } else {
      topic.phase = "refused";
      topic.end(reply.type === "error" ? reply.code : "protocol_error", this.wire.now());
    }
  }

  private beginAnew(topic: Topic): void {
    topic.forget();
    topic.failures += 1;
    // The first time at once; if that does not help, not so soon.
    if (topic.failures > 1) this.wait(topic, 0);
    else this.sync(topic);
  }

  private wait(topic: Topic, askedMs: number): void {
    if (topic.phase === "waiting" || topic.phase === "refused") return;
    if (topic.phase !== "off") topic.phase = "waiting";
    topic.failures += 1;
    const connection = this.connection;
    this.wire.later(Math.max(askedMs, delayMs(topic.failures)), () => {
      if (connection !== this.connection || topic.phase !== "waiting") return;
      // What still stands there is begun afresh by asking again, never resumed.
      topic.forget();
      topic.phase = "off";
      this.sync(topic);
    });
  }

  // ---- who is there

  private askToSignIn(): void {
    this.signIn = "asked";
    this.request({ op: "auth" }, (reply) => {
      if (reply === null) return;
      if (reply.type === "authenticated") return this.onSignedIn(reply.owner);
      if (reply.type === "error" && RETRIED.has(reply.code)) {
        const connection = this.connection;
        this.wire.later(Math.max((reply.retry_after_s ?? 0) * 1_000, 1_000), () => {
          if (connection === this.connection && this.wantsSignIn) this.askToSignIn();
        });
      } else {
        this.onNobody(reply.type === "error" ? reply.code : "protocol_error");
      }
    });
  }

  private onNobody(code: string): void {
    if (!this.wantsSignIn || !this.maySignInAgain) return this.signedOut(code);
    this.maySignInAgain = false; // the cookie may be younger than this connection: once more
    this.wire.reconnect("the cookie of this connection is too old");
  }

  private onSignedIn(owner: string): void {
    this.signIn = "signed in";
    if (!this.wantsSignIn) return this.signedOut("unauthenticated");
    // The cookie may be another person's by now, who signed in in another tab.
    if (this.expected !== null && !sameOwner(owner, this.expected)) return this.onNobody("unauthenticated");
    if (this.owner !== null && !sameOwner(owner, this.owner)) this.endPrivate("unauthenticated");
    this.owner = owner;
    this.maySignInAgain = true;
    for (const topic of [...this.topics.values()]) if (isPrivate(topic.subject.channel)) this.sync(topic);
  }

  // ---- requests

  private request(body: Record<string, unknown>, answer: Answer): void {
    this.lastId += 1;
    const id = String(this.lastId);
    this.answers.set(id, answer);
    this.wire.send({ ...body, id });
  }
}

function sameOwner(one: string, other: string | null): boolean {
  return one.toLowerCase() === other?.toLowerCase();
}
