/** How fresh what the page shows is: a store outside React, published when something changes, at most once a second. */

export interface StreamStatus {
  /** connecting: it soon may come; live; stale: connected, but nothing came for too long; offline: no way to the exchange. */
  readonly state: "connecting" | "live" | "stale" | "offline";
  readonly latencyMs: number | null;
  /** When anything came the last time, by this computer's clock; 0 before that. */
  readonly lastMessageMs: number;
  readonly seq: number;
  /** Whose private subscriptions the connection carries. */
  readonly owner: string | null;
  /** Somebody was to be signed in, and the exchange says that it is nobody, or somebody else: the session is over. */
  readonly isRefused: boolean;
}

const AT_FIRST: StreamStatus = {
  state: "connecting",
  latencyMs: null,
  lastMessageMs: 0,
  seq: 0,
  owner: null,
  isRefused: false,
};

/** Heartbeats come every 5 s: later than this means that something is amiss. */
export const STALE_AFTER_MS = 7_000;
/** After so long the connection counts as lost (docs/api/websocket.md). */
export const LOST_AFTER_MS = 10_000;
/** Failed attempts after which it is called offline. */
const OFFLINE_AFTER = 2;

export interface Circumstances {
  isOpen: boolean;
  failures: number;
  silentMs: number;
  hasNetwork: boolean;
}

export function stateOf({ isOpen, failures, silentMs, hasNetwork }: Circumstances): StreamStatus["state"] {
  if (isOpen) return silentMs > STALE_AFTER_MS ? "stale" : "live";
  return failures >= OFFLINE_AFTER || !hasNetwork ? "offline" : "connecting";
}

/** For `useSyncExternalStore(status.subscribe, status.get)`. */
export class StatusStore {
  private value: StreamStatus = AT_FIRST;
  private readonly listeners = new Set<() => void>();

  readonly get = (): StreamStatus => this.value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  set(next: StreamStatus): void {
    const old = this.value;
    const isSame = (Object.keys(next) as (keyof StreamStatus)[]).every((name) => old[name] === next[name]);
    if (isSame) return;
    this.value = next;
    for (const listener of [...this.listeners]) listener();
  }
}
