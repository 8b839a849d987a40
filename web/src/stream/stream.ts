/**
 * The page's one WebSocket to the exchange: opened when first used, connected again whenever it is lost. What is
 * said over it is in conversation.ts; here are the socket, the clock and what the browser tells of the page.
 */

import { useSyncExternalStore } from "react";

import { delayMs } from "./backoff";
import { Conversation } from "./conversation";
import { readFrame } from "./frames";
import { LOST_AFTER_MS, stateOf, StatusStore, type StreamStatus } from "./status";
import type { StreamMessage, Subject } from "./subjects";

export type { ChannelName, StreamMessage, Subject } from "./subjects";
export type { StreamStatus } from "./status";

const PING_EVERY_MS = 5_000;
const FIRST_PING_MS = 700;
const CONNECT_WITHIN_MS = 10_000;
/** A connection that lasted for so long was a good one: the next is tried for at once. */
const STEADY_MS = 5_000;
/** When there is reason to doubt the connection, it has so long to answer. */
const PROBE_MS = 3_000;

export class Stream {
  readonly status = new StatusStore();

  private readonly conversation: Conversation;
  private socket: WebSocket | null = null;
  private hasBegun = false;
  private failures = 0;
  private latencyMs: number | null = null;
  private lastMessageMs = 0;
  private openedMs = 0;
  private nextAttempt = 0;

  constructor(private readonly url: () => string) {
    this.conversation = new Conversation({
      send: (request) => {
        if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(request));
      },
      reconnect: () => this.drop(),
      later: (ms, then) => void window.setTimeout(then, ms),
      now: () => performance.now(),
    });
  }

  /**
   * Follows a subject until the returned function is called. Everybody's first message is a snapshot, and a
   * snapshot may come again at any time. Private subjects wait until somebody has signed in.
   */
  subscribe<T>(subject: Subject, on: (message: StreamMessage<T>) => void): () => void {
    this.begin();
    return this.conversation.subscribe(subject, (message) => on(message as StreamMessage<T>));
  }

  /** What its followers hold is wrong (a checksum): it begins anew with a snapshot. */
  resync(subject: Subject): void {
    this.conversation.resync(subject);
  }

  /** Somebody has signed in by cookie; with their address, nothing is done when they are known already. */
  authenticate(owner?: string): void {
    this.begin();
    this.conversation.authenticate(owner);
  }

  /** Somebody has signed out: private subscriptions end. */
  signedOut(): void {
    this.conversation.signedOut("session_invalid");
  }

  private begin(): void {
    if (this.hasBegun) return;
    this.hasBegun = true;
    window.addEventListener("online", () => (this.socket === null ? this.connectNow() : this.probe()));
    window.addEventListener("offline", () => this.probe());
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      if (this.socket === null) this.connectNow();
      else this.probe();
    });
    window.setInterval(() => this.watch(), 1_000);
    window.setInterval(() => this.measure(), PING_EVERY_MS);
    this.connect();
  }

  // ---- the connection

  private connectNow(): void {
    window.clearTimeout(this.nextAttempt);
    if (this.socket === null) this.connect();
  }

  private connect(): void {
    this.nextAttempt = 0;
    const socket = new WebSocket(this.url());
    this.socket = socket;
    this.openedMs = 0;
    const timeout = window.setTimeout(() => this.lost(socket), CONNECT_WITHIN_MS);
    socket.addEventListener("open", () => {
      window.clearTimeout(timeout);
      if (socket === this.socket) this.lastMessageMs = Date.now();
    });
    socket.addEventListener("message", (event: MessageEvent<unknown>) => {
      if (socket === this.socket && typeof event.data === "string") this.take(event.data);
    });
    socket.addEventListener("close", () => {
      window.clearTimeout(timeout);
      this.lost(socket);
    });
  }

  private take(text: string): void {
    this.lastMessageMs = Date.now();
    const frame = readFrame(text);
    if (frame === null) return;
    if (frame.type === "welcome") this.openedMs = this.lastMessageMs;
    this.conversation.onFrame(frame);
    if (frame.type === "welcome") {
      // Not at once: the answer would stand behind the snapshots.
      window.setTimeout(() => this.measure(), FIRST_PING_MS);
      this.publish();
    } else if (frame.type === "authenticated" || frame.type === "ended" || frame.type === "error") {
      this.publish();
    }
  }

  /** Gives the present connection up; the next comes at once, or later when this one was short-lived. */
  private drop(): void {
    if (this.socket !== null) this.lost(this.socket);
  }

  private lost(socket: WebSocket): void {
    if (socket !== this.socket) return;
    this.socket = null;
    socket.close();
    const wasSteady = this.openedMs > 0 && Date.now() - this.openedMs > STEADY_MS;
    this.failures = wasSteady ? 0 : this.failures + (this.openedMs > 0 ? 0.5 : 1);
    this.latencyMs = null;
    this.conversation.onLost();
    this.nextAttempt = window.setTimeout(() => this.connectNow(), delayMs(this.failures));
    this.publish();
  }

  // ---- how it is

  private watch(): void {
    // Also one that was taken and never welcomed.
    const isConnected = this.socket?.readyState === WebSocket.OPEN;
    if (isConnected && Date.now() - this.lastMessageMs > LOST_AFTER_MS) this.drop();
    this.publish();
  }

  private measure(): void {
    this.conversation.ping((ms) => {
      this.latencyMs = ms === null ? null : Math.max(1, Math.round(ms));
      this.publish();
    });
  }

  /** The network has changed, or the computer may have slept: an answer has to come soon. */
  private probe(): void {
    const socket = this.socket;
    if (this.openedMs === 0) return; // it has its own time to open
    const askedMs = Date.now();
    this.measure();
    window.setTimeout(() => {
      if (socket !== null && socket === this.socket && this.lastMessageMs < askedMs) this.lost(socket);
    }, PROBE_MS);
  }

  private publish(): void {
    if (this.conversation.isOpen) this.failures = this.isSteady() ? 0 : this.failures;
    this.status.set({
      state: stateOf({
        isOpen: this.conversation.isOpen,
        failures: this.failures,
        silentMs: Date.now() - this.lastMessageMs,
        hasNetwork: navigator.onLine,
      }),
      latencyMs: this.latencyMs,
      lastMessageMs: this.lastMessageMs,
      seq: this.conversation.seq,
      owner: this.conversation.owner,
      isRefused: this.conversation.isRefused,
    });
  }

  private isSteady(): boolean {
    return this.openedMs > 0 && Date.now() - this.openedMs > STEADY_MS;
  }
}

/** The stream of this page. */
export const stream = new Stream(() => `${location.origin.replace(/^http/, "ws")}/v1/ws`);

/** How fresh what the page shows is. The component is drawn again when that changes, at most once a second or so. */
export function useStreamStatus(): StreamStatus {
  return useSyncExternalStore(stream.status.subscribe, stream.status.get);
}
