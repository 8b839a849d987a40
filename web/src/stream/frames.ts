/** The frames of /v1/ws as far as the page looks at them (docs/api/websocket.md). */

import type { Subject } from "./subjects";

export interface WelcomeFrame {
  type: "welcome";
  seq: number;
  time_ms: number;
  genesis_id: string;
}

export interface HeartbeatFrame {
  type: "heartbeat";
  seq: number;
  time_ms: number;
}

export type DataFrame = Subject & { seq: number; time_ms: number; data: unknown } & (
    | { type: "snapshot" }
    | { type: "update"; prev_seq: number }
  );

export type EndedFrame = Subject & { type: "ended"; code: string };

export type ReplyFrame =
  | (Subject & { type: "subscribed"; id?: string; resumed: boolean; seq: number })
  | { type: "unsubscribed"; id?: string }
  | { type: "authenticated"; id?: string; owner: string }
  | { type: "pong"; id?: string; seq: number; time_ms: number }
  | { type: "error"; id?: string; code: string; detail: string; retry_after_s?: number };

export type Frame = WelcomeFrame | HeartbeatFrame | DataFrame | EndedFrame | ReplyFrame;

/** Reads a frame; null for what is none, and for kinds that a newer exchange may have. */
export function readFrame(text: string): Frame | null {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof content !== "object" || content === null || !("type" in content)) return null;
  return KINDS.has(content.type) ? (content as Frame) : null;
}

const KINDS: ReadonlySet<unknown> = new Set<Frame["type"]>([
  "welcome",
  "heartbeat",
  "snapshot",
  "update",
  "ended",
  "subscribed",
  "unsubscribed",
  "authenticated",
  "pong",
  "error",
]);
