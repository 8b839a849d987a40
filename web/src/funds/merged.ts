/** A history that was read, and what the stream has told since, as one list. Pure. */

export interface Listed<T> {
  /** The same for the same deposit or withdrawal. */
  key(item: T): string;
  timeMs(item: T): number;
  /** Whether it can no longer change, or disappear. */
  isFinal(item: T): boolean;
}

/**
 * Newest first; what the stream told goes before what was read. `live` is null until its first snapshot. A
 * snapshot has all that are on their way, so what was read as on its way and is not in it is gone: the chain took
 * its block back. `keepsUnfinished` where that can not be, and the stream is merely late.
 */
export function merged<T>(
  history: readonly T[],
  live: ReadonlyMap<string, T> | null,
  listed: Listed<T>,
  keepsUnfinished: boolean,
): T[] {
  const all = new Map<string, T>();
  for (const item of history) {
    if (live === null || keepsUnfinished || listed.isFinal(item)) all.set(listed.key(item), item);
  }
  for (const [key, item] of live ?? []) {
    const read = all.get(key);
    if (read === undefined || !listed.isFinal(read)) all.set(key, item);
  }
  return [...all.values()].sort((one, other) => listed.timeMs(other) - listed.timeMs(one));
}

/** With what a message of the stream told; a snapshot replaces everything. */
export function told<T>(
  live: ReadonlyMap<string, T> | null,
  kind: "snapshot" | "update",
  items: readonly T[],
  listed: Listed<T>,
): ReadonlyMap<string, T> {
  const next = new Map(kind === "snapshot" || live === null ? [] : live);
  for (const item of items) next.set(listed.key(item), item);
  return next;
}
