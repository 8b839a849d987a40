/** What the browser's tab says: the page, and on the trade page the price, which is read from afar. */

import { type ReactElement, useEffect, useRef } from "react";

import { useHomeMarket, useMarket } from "../market/markets";
import { useTicker } from "../market/tickers";
import { grouped, withDecimals } from "../numbers";
import { marketOf, pageOf } from "./pages";

const NAME = "Exchange";
const AT_MOST_EVERY_MS = 1_000;

/** Draws nothing. */
export function Title({ path }: { path: string }): ReactElement | null {
  const page = pageOf(path);
  const isTrade = page?.path === "/trade";
  const home = useHomeMarket();
  const market = isTrade ? (marketOf(path) ?? home) : null;
  const title = page?.title ?? "Page not found";
  useEffect(() => {
    if (market === null) document.title = `${title} · ${NAME}`;
  }, [market, title]);
  return market === null ? null : <MarketTitle market={market} />;
}

function MarketTitle({ market }: { market: string }): ReactElement | null {
  const last = useTicker(market)?.last ?? null;
  const decimals = useMarket(market)?.tickDecimals;
  const price = last === null || decimals === undefined ? null : grouped(withDecimals(last, decimals));
  const writtenMs = useRef(0);
  useEffect(() => {
    const write = (): void => {
      writtenMs.current = performance.now();
      document.title = price === null ? `${market} · ${NAME}` : `${price} ${market} · ${NAME}`;
    };
    const waitMs = writtenMs.current + AT_MOST_EVERY_MS - performance.now();
    const timer = setTimeout(write, Math.max(0, waitMs));
    return () => clearTimeout(timer);
  }, [market, price]);
  return null;
}
