/** Wallets that the browser has, as they announce themselves. Source: EIP-6963, EIP-1193. */

import { useSyncExternalStore } from "react";

export interface Provider {
  request(call: { method: string; params?: unknown }): Promise<unknown>;
  on?(event: string, listener: (value: unknown) => void): void;
  removeListener?(event: string, listener: (value: unknown) => void): void;
}

export interface AnnouncedProvider {
  readonly id: string;
  readonly name: string;
  /** Reverse domain name: the same after a reload. */
  readonly rdns: string;
  /** A picture as a data URI; null when it is anything else. */
  readonly icon: string | null;
  readonly provider: Provider;
}

let announced: readonly AnnouncedProvider[] = [];
let asked = false;
const listeners = new Set<() => void>();

function onAnnounce(event: Event): void {
  const found = parseAnnouncement((event as CustomEvent<unknown>).detail);
  if (found === null || announced.some((each) => each.id === found.id)) return;
  announced = [...announced, found];
  listeners.forEach((listener) => listener());
}

/** Any script of the page or extension can announce anything: what does not fit is not listed. */
export function parseAnnouncement(detail: unknown): AnnouncedProvider | null {
  if (typeof detail !== "object" || detail === null) return null;
  const { info, provider } = detail as { info?: unknown; provider?: unknown };
  if (typeof info !== "object" || info === null || typeof provider !== "object" || provider === null) return null;
  const { uuid, name, icon, rdns } = info as Record<string, unknown>;
  if (typeof uuid !== "string" || typeof name !== "string" || name.trim() === "") return null;
  if (typeof (provider as Provider).request !== "function") return null;
  return {
    id: uuid,
    name: name.trim().slice(0, 40),
    rdns: typeof rdns === "string" ? rdns : "",
    icon: typeof icon === "string" && icon.startsWith("data:image/") ? icon : null,
    provider: provider as Provider,
  };
}

/** Asks wallets to announce themselves; they answer within the same turn, or when they are ready. */
export function askProviders(): readonly AnnouncedProvider[] {
  if (!asked) {
    asked = true;
    window.addEventListener("eip6963:announceProvider", onAnnounce);
  }
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  return announced;
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  askProviders();
  return () => listeners.delete(listener);
}

export function useProviders(): readonly AnnouncedProvider[] {
  return useSyncExternalStore(listen, () => announced);
}
