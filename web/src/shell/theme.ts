/** Dark or light: what was chosen, else what the system says. It stands as data-theme on <html>. */

import { useSyncExternalStore } from "react";

import { changeSettings, getSettings, onSettings } from "./settings";

export type Theme = "dark" | "light";

const GROUND = { dark: "#0c0f14", light: "#f2f4f8" } as const;

const systemIsLight = window.matchMedia("(prefers-color-scheme: light)");
const listeners = new Set<() => void>();
let theme: Theme = resolve();

function resolve(): Theme {
  const chosen = getSettings().theme;
  return chosen === "system" ? (systemIsLight.matches ? "light" : "dark") : chosen;
}

function apply(): void {
  theme = resolve();
  document.documentElement.dataset["theme"] = theme;
  let meta = document.querySelector<HTMLMetaElement>('meta[name="theme-color"]');
  if (meta === null) {
    meta = document.createElement("meta");
    meta.name = "theme-color";
    document.head.append(meta);
  }
  meta.content = GROUND[theme];
  listeners.forEach((listener) => listener());
}

apply();
systemIsLight.addEventListener("change", apply);
onSettings(() => {
  if (resolve() !== theme) apply();
});

/** The theme now; who draws on a canvas draws again when it changes. */
export function useTheme(): Theme {
  return useSyncExternalStore(listen, () => theme);
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function toggleTheme(): void {
  changeSettings({ theme: theme === "dark" ? "light" : "dark" });
}
