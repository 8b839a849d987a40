/**
 * The first thing that runs: it paints the frame of the page, which is a template in the index, and then has the app
 * run, which takes the frame's place. It is small, and needs nothing of the app, which comes over the same line.
 */

import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./shell/shell.css";
import "./ui/feedback.css";
import "./ui/buttons.css";
import "./ui/fields.css";
import "./ui/choices.css";
import "./trade/trade.css";
import "./market/market.css";

import "./shell/theme";

import { findHomeMarket, homeMarket } from "./market/home-market";
import { marketOf, pageOf } from "./shell/pages";

/** A tab that goes into the background meanwhile paints nothing. */
const AT_LATEST_MS = 500;
const FOUND_WITHIN_MS = 2_000;

const root = document.getElementById("root");
const frame = document.querySelector<HTMLTemplateElement>("#frame");
if (root === null || frame === null) throw new Error("not the index of the app");

root.append(filledIn(frame.content.cloneNode(true) as DocumentFragment, location.pathname));
const isTrade = pageOf(location.pathname)?.path === "/trade";
if (isTrade) {
  askEarly("/v1/markets");
  askEarly("/v1/assets");
}
const market = isTrade && marketOf(location.pathname) === null && homeMarket() === null ? findFirst(root) : null;
afterPaint(async () => {
  await market;
  import("./main").catch((error: unknown) => {
    say("The app could not be loaded. Load the page anew.");
    throw error;
  });
});

/** The frame as it is on this page. Only of the trade page more is known than that something comes. */
function filledIn(frame: DocumentFragment, path: string): DocumentFragment {
  const page = pageOf(path)?.path;
  for (const link of frame.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === page) link.setAttribute("aria-current", "page");
  }
  if (page !== "/trade") frame.querySelector("main")?.replaceChildren();
  nameMarket(frame, marketOf(path) ?? homeMarket());
  return frame;
}

function nameMarket(frame: ParentNode, market: string | null): void {
  const [base = "…", quote = "…"] = market?.split("-") ?? [];
  const words: Readonly<Record<string, string>> = { market: market ?? "…", base, quote };
  for (const place of frame.querySelectorAll<HTMLElement>("[data-word]")) {
    place.textContent = words[place.dataset["word"] ?? ""] ?? "";
  }
}

/** Who has never been here, and names no market: which it is is known before the app needs it, mostly. */
async function findFirst(root: HTMLElement): Promise<void> {
  const found = findHomeMarket().catch(() => undefined); // the app asks again
  await Promise.race([found, new Promise((resolve) => setTimeout(resolve, FOUND_WITHIN_MS))]);
  nameMarket(root, homeMarket());
}

/** What is asked for first is on its way while the app still is: its first request for it gets this answer. */
function askEarly(path: string): void {
  const link = document.createElement("link");
  link.rel = "preload";
  link.as = "fetch";
  link.crossOrigin = "anonymous";
  link.href = path;
  document.head.append(link);
}

/** Once the frame is on the screen: until then the app would only take the processor from it. */
function afterPaint(work: () => Promise<void>): void {
  let isDone = false;
  const once = (): void => {
    if (!isDone) void work();
    isDone = true;
  };
  new PerformanceObserver((list) => {
    if (list.getEntriesByName("first-contentful-paint").length > 0) once();
  }).observe({ type: "paint", buffered: true });
  setTimeout(once, document.visibilityState === "hidden" ? 0 : AT_LATEST_MS);
}

function say(words: string): void {
  const note = document.createElement("p");
  note.className = "connection-banner";
  note.setAttribute("role", "alert");
  note.textContent = words;
  document.body.append(note);
}
