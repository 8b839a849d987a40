/** A store of something private that the stream keeps up to date: subscribed to while anybody looks. */

import { stream, type StreamMessage } from "../stream/stream";

/** Who looks away and back, as from one page to another, finds it as it was. */
const LINGER_MS = 3_000;

/** Folds the messages of one private channel. `S` is replaced, never changed, so that React sees it. */
export class Live<S, T> {
  private state: S;
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

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    clearTimeout(this.pausing);
    this.end ??= stream.subscribe<T[]>({ channel: this.channel, sub_account: 0 }, (message) => {
      // ended: whoever it belonged to is not signed in any more
      this.set(message.kind === "ended" ? this.empty : this.fold(this.state, message));
    });
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

  private pause(): void {
    this.end?.();
    this.end = null;
    this.state = this.empty; // it would be out of date when somebody looks again
  }
}
