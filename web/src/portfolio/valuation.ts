/** What holdings are worth in the quote asset now. Pure, exact, cut off at its smallest unit. */

import { type Decimal, divFloor, fromUnits, parseDecimal } from "../numbers";

export interface Quoted {
  base: string;
  quote: string;
  last: string | null;
  bid: readonly [string, string] | null;
  ask: readonly [string, string] | null;
}

/** The asset that most markets are quoted in; of equally many the first by name. */
export function quoteAsset(markets: Iterable<{ quote: string }>): string | null {
  const counts = new Map<string, number>();
  for (const { quote } of markets) counts.set(quote, (counts.get(quote) ?? 0) + 1);
  const [first] = [...counts].sort(([one, many], [other, more]) => more - many || one.localeCompare(other));
  return first?.[0] ?? null;
}

/**
 * Of one whole coin in the quote asset: the last trade's price, else the middle of bid and ask. With decimals of
 * its own: a tick may be finer than the quote asset's smallest unit.
 */
export function priceOf(asset: string, quote: string, tickers: Iterable<Quoted>): Decimal | null {
  if (asset === quote) return { units: 1n, decimals: 0 };
  for (const ticker of tickers) {
    if (ticker.base !== asset || ticker.quote !== quote) continue;
    if (ticker.last !== null) return parseDecimal(ticker.last);
    if (ticker.bid !== null && ticker.ask !== null) return middle(ticker.bid[0], ticker.ask[0]);
  }
  return null;
}

/** Which assets without a price a sum leaves out, and why, in words; null when it leaves none out. */
export function leftOutText(assets: readonly string[], quote: string | null, tickers: readonly Quoted[]): string | null {
  if (assets.length === 0 || quote === null) return null;
  const each = assets.map((asset) => {
    const market = tickers.find((ticker) => ticker.base === asset && ticker.quote === quote);
    return `${asset} (${market === undefined ? `no market has a price of it in ${quote}` : `no price in ${asset}-${quote} yet`})`;
  });
  return `Not in this sum: ${each.join(", ")}.`;
}

function middle(one: string, other: string): Decimal | null {
  const [low, high] = [parseDecimal(one), parseDecimal(other)];
  if (low === null || high === null) return null;
  const decimals = Math.max(low.decimals, high.decimals);
  const units = [low, high].reduce((sum, each) => sum + each.units * 10n ** BigInt(decimals - each.decimals), 0n);
  return { units: units * 5n, decimals: decimals + 1 }; // half of it, exactly
}

/** What an amount of so many decimals is worth, in atoms of the quote asset. */
export function worth(amountAtoms: bigint, decimals: number, price: Decimal, quoteDecimals: number): bigint {
  const scaled = amountAtoms * price.units * 10n ** BigInt(quoteDecimals);
  return divFloor(scaled, 10n ** BigInt(decimals + price.decimals));
}

/** A share in percent with one decimal, cut off; null of nothing. */
export function share(part: bigint, whole: bigint): string | null {
  return whole <= 0n ? null : fromUnits((part * 1_000n) / whole, 1);
}
