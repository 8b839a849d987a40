/**
 * One subscription and all who follow it in this page: where it stands, and which messages fit. No I/O.
 *
 *     off      nothing is asked for; also whenever the connection is lost
 *     asked    `subscribe` was sent; of an earlier subscription to the same, messages still come and still fit
 *     begun    it stands, and its snapshot comes next
 *     live     snapshot or resumed: messages are taken
 *     waiting  it was refused for a while
 *     refused  it was refused for good
 */

import { keyOf, type StreamMessage, type Subject } from "./subjects";
import type { DataFrame } from "./frames";

export type Follower = (message: StreamMessage<unknown>) => void;
export type Phase = "off" | "asked" | "begun" | "live" | "waiting" | "refused";

/** What became of a message: `gap` means that something was missed, and it has to begin again. */
export type Taken = "taken" | "passed over" | "gap";

export class Topic {
  readonly key: string;
  phase: Phase = "off";
  /** As of when everything that was told is true; null when nothing can build on it. */
  seq: number | null = null;
  /** What went wrong since it was last known to be well. */
  failures = 0;
  /** Whether it was left by its last follower, and may end. */
  isLeaving = false;
  /** Its followers know that nothing comes. */
  isEnded = false;

  /** Each follower, and whether it has had a snapshot. */
  private readonly followers = new Map<Follower, boolean>();

  constructor(readonly subject: Subject) {
    this.key = keyOf(subject);
  }

  get isFollowed(): boolean {
    return this.followers.size > 0;
  }

  /** Whether it has to begin with a snapshot, because of somebody who has none. */
  get needsSnapshot(): boolean {
    for (const hasBegun of this.followers.values()) if (!hasBegun) return true;
    return this.seq === null;
  }

  add(follower: Follower): void {
    this.followers.set(follower, false);
    this.isLeaving = false;
    this.isEnded = false;
  }

  remove(follower: Follower): void {
    this.followers.delete(follower);
  }

  /** What to go on from, when it is asked for on a new connection. */
  get resumeSeq(): number | null {
    return this.needsSnapshot ? null : this.seq;
  }

  /** Nothing may be built on what it has: the next to come is a snapshot. */
  forget(): void {
    this.seq = null;
    for (const follower of this.followers.keys()) this.followers.set(follower, false);
  }

  onSubscribed(resumed: boolean): void {
    this.isEnded = false;
    this.phase = resumed ? "live" : "begun";
  }

  onHeartbeat(seq: number): void {
    if (this.phase !== "live" || this.seq === null) return;
    this.seq = Math.max(this.seq, seq);
    this.failures = 0;
  }

  take(frame: DataFrame): Taken {
    if (frame.type === "snapshot") {
      // An answer to a subscription that has since been made again is as true as any other.
      if (this.phase === "off" || this.phase === "waiting" || this.phase === "refused") return "passed over";
      if (this.phase === "begun") this.phase = "live";
      this.seq = frame.seq;
      this.tell({ kind: "snapshot", seq: frame.seq, data: frame.data, timeMs: frame.time_ms }, true);
      return "taken";
    }
    if (this.phase !== "live" && this.phase !== "asked") return "passed over";
    if (this.seq === null || frame.seq < this.seq) return "passed over";
    if (frame.prev_seq > this.seq) return "gap";
    this.seq = frame.seq;
    this.tell({ kind: "update", seq: frame.seq, data: frame.data, timeMs: frame.time_ms }, false);
    return "taken";
  }

  /** Tells everybody, once, that nothing more comes for now. */
  end(code: string, timeMs: number): void {
    this.forget();
    if (this.isEnded) return;
    this.isEnded = true;
    const message: StreamMessage<unknown> = { kind: "ended", seq: 0, data: null, timeMs, code };
    for (const follower of [...this.followers.keys()]) tellOne(follower, message);
  }

  private tell(message: StreamMessage<unknown>, begins: boolean): void {
    for (const [follower, hasBegun] of [...this.followers]) {
      if (begins) this.followers.set(follower, true);
      else if (!hasBegun) continue;
      tellOne(follower, message);
    }
  }
}

/** An error of one follower is seen, and is not in the way of the others. */
function tellOne(follower: Follower, message: StreamMessage<unknown>): void {
  try {
    follower(message);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
