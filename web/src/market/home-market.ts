/**
 * The market that is shown where none is named: the one that was looked at last in this browser, else the one that
 * is traded most, else the first. Needs nothing of the app, for the page's frame is painted with it.
 */

const KEY = "market";

interface Listed {
  readonly symbol: string;
  readonly quote: string;
}
interface Traded {
  readonly market: string;
  readonly quote_volume: string;
}

let home = kept();
let finding: Promise<void> | null = null;
const listeners = new Set<() => void>();

/** Null: it has to be found. */
export function homeMarket(): string | null {
  return home;
}

export function onHomeMarket(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** It is looked at. */
export function rememberMarket(symbol: string): void {
  take(symbol);
  try {
    localStorage.setItem(KEY, symbol);
  } catch {
    // it holds until the page is closed
  }
}

/** Asks the exchange which it is; with no markets there is none. Throws where no answer comes. */
export function findHomeMarket(): Promise<void> {
  finding ??= find().finally(() => (finding = null));
  return finding;
}

async function find(): Promise<void> {
  const before = home;
  const [markets, traded] = await Promise.all([
    itemsOf<Listed>("/v1/markets"),
    itemsOf<Traded>("/v1/tickers").catch(() => []), // the exchange trades without them, too
  ]);
  if (home === before) take(busiest(markets, traded)); // else one is looked at meanwhile
}

/** By value, which is compared in the asset that most markets are quoted in; the first one where nothing is traded. */
export function busiest(markets: readonly Listed[], traded: readonly Traded[]): string | null {
  const values = new Map(traded.map((each) => [each.market, each.quote_volume]));
  const quotes = markets.map(({ quote }) => quote);
  const count = (quote: string): number => quotes.filter((each) => each === quote).length;
  const most = Math.max(...quotes.map(count));
  let best: Listed | undefined;
  for (const market of markets) {
    if (count(market.quote) !== most || market.quote !== (best ?? market).quote) continue;
    if (best === undefined || isMore(values.get(market.symbol) ?? "0", values.get(best.symbol) ?? "0")) best = market;
  }
  return best?.symbol ?? null;
}

/** Of two exact decimals without signs. */
function isMore(one: string, other: string): boolean {
  const [whole, than] = [one, other].map((text) => text.split(".")[0] ?? "") as [string, string];
  return whole.length === than.length ? one > other : whole.length > than.length;
}

async function itemsOf<T>(path: string): Promise<T[]> {
  const answer = await fetch(path, { signal: AbortSignal.timeout(5_000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return ((await answer.json()) as { items: T[] }).items;
}

function take(symbol: string | null): void {
  if (symbol === home) return;
  home = symbol;
  listeners.forEach((listener) => listener());
}

function kept(): string | null {
  try {
    const symbol = localStorage.getItem(KEY);
    return symbol !== null && /^[A-Za-z0-9._-]{1,40}$/.test(symbol) ? symbol : null;
  } catch {
    return null; // a browser that keeps nothing
  }
}
