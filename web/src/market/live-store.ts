/**
 * A store outside React that follows the stream as long as somebody looks at it, and publishes once per frame. What
 * it holds is given by its `take`; what it shows, by whoever reads it when `version` has changed.
 */

import { stream, type StreamMessage, type Subject } from "../stream/stream";
import { paced } from "./frame";

/** A page that is left and come back to, or a component drawn anew, finds what there was. */
const KEPT_MS = 3_000;

export abstract class LiveStore<T> {
  /** Grows with each publication: what was made of an older one can be made anew. */
  version = 0;

  private readonly listeners = new Set<() => void>();
  private stop: (() => void) | null = null;
  private leaving: ReturnType<typeof setTimeout> | undefined;

  private readonly onTaken: () => void;

  /** Published with every frame that something came for, or less often. */
  constructor(
    readonly subject: Subject,
    everyMs = 0,
  ) {
    this.onTaken = paced(() => this.publish(), everyMs);
  }

  /** For `useSyncExternalStore`. */
  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    clearTimeout(this.leaving);
    this.stop ??= stream.subscribe<T>(this.subject, (message) => this.onMessage(message));
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) this.leaving = setTimeout(() => this.end(), KEPT_MS);
    };
  };

  /** Takes a message in. What it holds is not shown before the next frame. */
  protected abstract take(message: StreamMessage<T>): void;

  /** Nobody looks at it any more: what it holds will be too old. */
  protected abstract reset(): void;

  protected begin(): void {
    stream.resync(this.subject);
  }

  private end(): void {
    if (this.listeners.size > 0) return;
    this.stop?.();
    this.stop = null;
    this.reset();
    this.version += 1;
  }

  private onMessage(message: StreamMessage<T>): void {
    this.take(message);
    this.onTaken();
  }

  private publish(): void {
    this.version += 1;
    for (const listener of [...this.listeners]) listener();
  }
}

/** One store for each key, made when first asked for. */
export function storesBy<S>(make: (key: string) => S): (key: string) => S {
  const stores = new Map<string, S>();
  return (key) => {
    let store = stores.get(key);
    if (store === undefined) stores.set(key, (store = make(key)));
    return store;
  };
}
