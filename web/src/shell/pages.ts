/** The pages of the app, as the navigation, the palette and the titles name them. */

import type { IconName } from "../ui/icon";

export interface Page {
  readonly path: string;
  readonly title: string;
  readonly icon: IconName;
  /** Two keys that lead there */
  readonly keys: string;
  readonly keywords: string;
  /** In the navigation */
  readonly main: boolean;
}

export const PAGES: readonly Page[] = [
  { path: "/trade", title: "Trade", icon: "chart", keys: "g t", keywords: "market book chart order", main: true },
  { path: "/portfolio", title: "Portfolio", icon: "portfolio", keys: "g p", keywords: "profit balance fee tier", main: true },
  { path: "/funds", title: "Funds", icon: "swap", keys: "g f", keywords: "deposit withdraw history", main: true },
  { path: "/wallet", title: "Wallet", icon: "wallet", keys: "g w", keywords: "phrase passkey password backup export", main: true },
  { path: "/settings", title: "Settings", icon: "settings", keys: "g s", keywords: "theme confirmation keys agents", main: true },
  { path: "/proof", title: "Proof of balance", icon: "shield", keys: "g b", keywords: "reserves audit check", main: false },
];

/** The page a path belongs to; undefined when there is none. */
export function pageOf(path: string): Page | undefined {
  const [, first = ""] = path.split("/");
  return PAGES.find((page) => page.path === `/${first === "" ? "trade" : first}`);
}

/** The market that a path of the trade page names; null without one. */
export function marketOf(path: string): string | null {
  const [, first, market = ""] = path.split("/");
  return first === "trade" && market !== "" ? market : null;
}
