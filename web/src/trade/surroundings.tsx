/**
 * What an order form has to know of its market, a few times a second: the stream may bring a thousand changes in that
 * time, of which a form needs the last.
 */

import { type ReactElement, useEffect, useMemo, useRef, useState } from "react";

import { type BookLevels, useLevels } from "../market/book-store";
import { type Market, useMarket } from "../market/markets";
import { useTicker } from "../market/tickers";
import { useSession } from "../session";
import { useBalances } from "./balances";
import { type MarketRules, ratesOf } from "./market-rules";
import type { Surroundings } from "./order-draft";

const EVERY_MS = 250;
const DEPTH = 200;

interface Seen {
  readonly levels: BookLevels;
  readonly lastPrice: string | null;
}

const UNSEEN: Seen = { levels: { state: "loading", bids: [], asks: [] }, lastPrice: null };

/** Draws nothing: it is what is drawn again on every change, so that the form is not. */
function Watch({ market, onSeen }: { market: string; onSeen(seen: Seen): void }): ReactElement | null {
  const levels = useLevels(market, DEPTH);
  const lastPrice = useTicker(market)?.last ?? null;
  const newest = useRef<Seen>(UNSEEN);
  const timer = useRef(0);
  useEffect(() => {
    newest.current = { levels, lastPrice };
    if (timer.current !== 0) return;
    onSeen(newest.current);
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      onSeen(newest.current);
    }, EVERY_MS);
  }, [levels, lastPrice, onSeen]);
  useEffect(
    () => () => {
      window.clearTimeout(timer.current);
      timer.current = 0;
    },
    [],
  );
  return null;
}

export interface Surrounded {
  /** Null until the market is known. */
  readonly around: Surroundings | null;
  readonly market: Market | undefined;
  /** Has to be drawn somewhere. */
  readonly watch: ReactElement;
}

export function useSurroundings(symbol: string): Surrounded {
  const market = useMarket(symbol);
  const tier = useSession().me?.fee_tier ?? 0;
  const balances = useBalances();
  const [seen, setSeen] = useState<Seen>(UNSEEN);
  const around = useMemo((): Surroundings | null => {
    if (market === undefined) return null;
    const spare = (asset: string) => balances?.get(asset)?.available ?? "0";
    return {
      rules: rulesOf(market, tier),
      bids: seen.levels.bids,
      asks: seen.levels.asks,
      lastPrice: seen.lastPrice ?? market.lastPrice,
      available: balances === null ? null : { base: spare(market.base), quote: spare(market.quote) },
      nowMs: Date.now(),
    };
  }, [market, tier, balances, seen]);
  return { around, market, watch: <Watch key={symbol} market={symbol} onSeen={setSeen} /> };
}

export function rulesOf(market: Market, tier: number): MarketRules {
  return { ...market, ...ratesOf(market.feeTiers, tier) };
}
