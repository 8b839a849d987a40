/**
 * What was begun in this page, from the first press until the exchange tells of it. It outlives the dialog; and in
 * this tab it outlives a reload as well, as far as the exchange may not know of it yet.
 */

import { useMemo, useSyncExternalStore } from "react";

import { useSession } from "../session";

export interface Run {
  id: number;
  /** Whose it is: somebody else may sign in on the same page. */
  owner: string;
}

/** How a kind of run is kept for a reload. */
export interface Keeping<R extends Run> {
  /** Its name in the tab's own storage. */
  name: string;
  isKept(run: R): boolean;
  /** The run as it is known after the reload; null where what was kept makes no sense. */
  recall(kept: Record<string, unknown>): Omit<R, "id"> | null;
}

export class Runs<R extends Run> {
  private all: readonly R[];
  private nextId: number;
  private readonly listeners = new Set<() => void>();

  constructor(private readonly keeping: Keeping<R>) {
    this.all = recalled(keeping);
    this.nextId = this.all.length + 1;
  }

  readonly list = (): readonly R[] => this.all;

  readonly listen = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  get(id: number): R | undefined {
    return this.all.find((run) => run.id === id);
  }

  /** Its id. The newest is the first. */
  add(run: Omit<R, "id">): number {
    const id = this.nextId++;
    this.publish([{ ...run, id } as R, ...this.all]);
    return id;
  }

  change(id: number, part: Partial<R>): void {
    this.publish(this.all.map((run) => (run.id === id ? { ...run, ...part } : run)));
  }

  readonly forget = (id: number): void => this.publish(this.all.filter((run) => run.id !== id));

  private publish(next: readonly R[]): void {
    this.all = next;
    try {
      const kept = next.filter((run) => this.keeping.isKept(run));
      if (kept.length === 0) sessionStorage.removeItem(this.keeping.name);
      else sessionStorage.setItem(this.keeping.name, JSON.stringify(kept));
    } catch {
      // a browser that keeps nothing: a reload forgets them
    }
    this.listeners.forEach((listener) => listener());
  }
}

function recalled<R extends Run>(keeping: Keeping<R>): R[] {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(keeping.name) ?? "[]");
    if (!Array.isArray(kept)) return [];
    const runs = kept.map((each: unknown) => (isRecord(each) ? keeping.recall(each) : null)).filter((run) => run !== null);
    return runs.map((run, index) => ({ ...run, id: index + 1 }) as R);
  } catch {
    return [];
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The fields with these names, each a text; null where one is none. */
export function texts<N extends string>(kept: Record<string, unknown>, ...names: N[]): Record<N, string> | null {
  const found = names.map((name) => [name, kept[name]] as const);
  return found.every(([, value]) => typeof value === "string") ? (Object.fromEntries(found) as Record<N, string>) : null;
}

/** Those of whoever is signed in. */
export function useRuns<R extends Run>(runs: Runs<R>): readonly R[] {
  const owner = useSession().me?.address;
  const all = useSyncExternalStore(runs.listen, runs.list);
  return useMemo(() => all.filter((run) => run.owner === owner), [all, owner]);
}
