/** A store of something private that the stream keeps up to date: subscribed to while anybody looks. */

import { useEffect, useSyncExternalStore } from "react";

import { useSession } from "../session";
import { stream, type StreamMessage } from "../stream/stream";

/** Who looks away and back, as from one page to another, finds it as it was. */
const LINGER_MS = 3_000;

/** Folds the messages of one private channel. `S` is replaced, never changed, so that React sees it. */
export class Live<S, T> {
  private state: S;
  private owner: string | null = null;
  private readonly listeners = new Set<() => void>();
  private end: (() => void) | null = null;
  private pausing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly channel: "orders" | "fills" | "balances",
    private readonly empty: S,
    private readonly fold: (state: S, message: StreamMessage<T[]>) => S,
  ) {
    this.state = empty;
  }

  readonly snapshot = (): S => this.state;

  /** What is the owner's; nothing while what is held is somebody else's. */
  of(owner: string): S {
    return this.owner === owner ? this.state : this.empty;
  }

  isOf(owner: string | null): boolean {
    return owner !== null && this.owner === owner;
  }

  none(): S {
    return this.empty;
  }

  /** Who is signed in. What was held of another is forgotten, and begun anew. */
  setOwner(owner: string | null): void {
    if (owner === this.owner) return;
    const before = this.owner;
    this.owner = owner;
    if (before !== null) {
      this.pause();
      if (this.listeners.size > 0) this.begin();
    }
    this.listeners.forEach((listener) => listener());
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    clearTimeout(this.pausing);
    this.begin();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.pausing = setTimeout(() => this.pause(), LINGER_MS);
    };
  };

  /** Changes the state by something that was learned in another way, such as an answer. */
  set(state: S): void {
    if (state === this.state) return;
    this.state = state;
    this.listeners.forEach((listener) => listener());
  }

  private begin(): void {
    this.end ??= stream.subscribe<T[]>({ channel: this.channel, sub_account: 0 }, (message) => {
      // ended: whoever it belonged to is not signed in any more
      this.set(message.kind === "ended" ? this.empty : this.fold(this.state, message));
    });
  }

  private pause(): void {
    this.end?.();
    this.end = null;
    this.state = this.empty; // it would be out of date when somebody looks again
  }
}

const nothing = (): (() => void) => () => undefined;

/** What the store has of whoever is signed in. */
export function useLive<S, T>(live: Live<S, T>): S {
  const { status, me } = useSession();
  const owner = status === "signed-in" ? (me?.address ?? null) : null;
  useEffect(() => live.setOwner(owner), [live, owner]);
  return useSyncExternalStore(owner === null ? nothing : live.subscribe, () =>
    owner === null ? live.none() : live.of(owner),
  );
}
