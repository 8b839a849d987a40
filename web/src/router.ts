/** Which page is shown: the path of the address bar, and nothing more. */

import { createElement, type AnchorHTMLAttributes, type MouseEvent, type ReactElement, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
window.addEventListener("popstate", () => listeners.forEach((listener) => listener()));

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The path now; the component is drawn again when it changes. */
export function usePath(): string {
  return useSyncExternalStore(listen, () => location.pathname);
}

/** Goes to another page of the app. */
export function navigate(path: string): void {
  if (path === location.pathname) return;
  history.pushState(null, "", path);
  listeners.forEach((listener) => listener());
  window.scrollTo(0, 0);
}

/** A link within the app: a real one, so that it can be opened in a tab of its own. */
export function Link({ to, ...rest }: { to: string } & AnchorHTMLAttributes<HTMLAnchorElement>): ReactElement {
  function onClick(event: MouseEvent<HTMLAnchorElement>): void {
    rest.onClick?.(event);
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(to);
  }
  return createElement("a", { ...rest, href: to, onClick });
}
