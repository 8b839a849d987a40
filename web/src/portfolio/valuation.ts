/** What holdings are worth in the quote asset now. Pure, exact, cut off at its smallest unit. */

import { divFloor, fromUnits, toUnits } from "../numbers";

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

/** A price in atoms of the quote asset for one whole coin: of the last trade, else the middle of bid and ask. */
export function priceAtoms(asset: string, quote: string, quoteDecimals: number, tickers: Iterable<Quoted>): bigint | null {
  if (asset === quote) return 10n ** BigInt(quoteDecimals);
  for (const ticker of tickers) {
    if (ticker.base !== asset || ticker.quote !== quote) continue;
    if (ticker.last !== null) return toUnits(ticker.last, quoteDecimals);
    if (ticker.bid !== null && ticker.ask !== null) {
      return (toUnits(ticker.bid[0], quoteDecimals) + toUnits(ticker.ask[0], quoteDecimals)) / 2n;
    }
  }
  return null;
}

/** What an amount is worth, in atoms of the quote asset. */
export function worth(amountAtoms: bigint, price: bigint, decimals: number): bigint {
  return divFloor(amountAtoms * price, 10n ** BigInt(decimals));
}

/** A share in percent with one decimal, cut off; null of nothing. */
export function share(part: bigint, whole: bigint): string | null {
  return whole <= 0n ? null : fromUnits((part * 1_000n) / whole, 1);
}
