/** What a person set for this browser. It is kept here alone: the exchange does not know of it. */

import { useSyncExternalStore } from "react";

export type ThemeChoice = "system" | "dark" | "light";

export interface Settings {
  readonly theme: ThemeChoice;
  /** Ask before an order is sent */
  readonly confirmOrders: boolean;
  /** Single keys do things; who dictates, or rests a hand on the keys, turns it off */
  readonly shortcuts: boolean;
}

export const DEFAULTS: Settings = { theme: "system", confirmOrders: true, shortcuts: true };

const KEY = "settings";

/** Settings from what was kept; what is missing or strange is as if never set. */
export function readSettings(kept: string | null): Settings {
  let content: unknown;
  try {
    content = JSON.parse(kept ?? "{}");
  } catch {
    return DEFAULTS;
  }
  if (typeof content !== "object" || content === null) return DEFAULTS;
  const { theme, confirmOrders, shortcuts } = content as Record<string, unknown>;
  return {
    theme: theme === "dark" || theme === "light" ? theme : DEFAULTS.theme,
    confirmOrders: typeof confirmOrders === "boolean" ? confirmOrders : DEFAULTS.confirmOrders,
    shortcuts: typeof shortcuts === "boolean" ? shortcuts : DEFAULTS.shortcuts,
  };
}

function load(): Settings {
  try {
    return readSettings(localStorage.getItem(KEY));
  } catch {
    return DEFAULTS; // a browser that keeps nothing
  }
}

let settings = load();
const listeners = new Set<() => void>();

function take(next: Settings): void {
  settings = next;
  listeners.forEach((listener) => listener());
}

// Another tab changed them.
if (typeof window !== "undefined") {
  window.addEventListener("storage", (event) => {
    if (event.key === KEY || event.key === null) take(load());
  });
}

export function getSettings(): Settings {
  return settings;
}

export function changeSettings(patch: Partial<Settings>): void {
  const next = { ...settings, ...patch };
  try {
    localStorage.setItem(KEY, JSON.stringify(next));
  } catch {
    // They hold until the page is closed.
  }
  take(next);
}

export function onSettings(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSettings(): Settings {
  return useSyncExternalStore(onSettings, getSettings);
}
