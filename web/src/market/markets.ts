/** Which markets there are, and the steps and fees of each. */

import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";

import { api, type Schemas } from "../api/client";
import { decimalsOf } from "../numbers";
import { findHomeMarket, homeMarket, onHomeMarket } from "./home-market";

export interface Market {
  readonly symbol: string;
  readonly base: string;
  readonly quote: string;
  /** The smallest step of a price, in the quote asset. */
  readonly tick: string;
  /** The smallest step of a size, in the base asset. */
  readonly lot: string;
  readonly tickDecimals: number;
  readonly lotDecimals: number;
  /** Decimals of the assets themselves: of amounts, not of prices. */
  readonly baseDecimals: number;
  readonly quoteDecimals: number;
  readonly makerFeeBps: number;
  readonly takerFeeBps: number;
  readonly feeTiers: Schemas["MarketItem"]["fee_tiers"];
  readonly priceBandBps: number;
  readonly marketBandBps: number;
  readonly state: Schemas["MarketState"];
  /** When it was asked for; what it is now is the ticker's. */
  readonly lastPrice: string | null;
}

export type Markets = ReadonlyMap<string, Market>;

const NONE: Markets = new Map();
const ASK_AGAIN_MS = 60_000;
const FIND_AGAIN_MS = 5_000;

async function fetchMarkets(): Promise<Markets> {
  const [markets, assets] = await Promise.all([
    api.get<Schemas["MarketsAnswer"]>("/v1/markets"),
    api.get<Schemas["AssetsAnswer"]>("/v1/assets"),
  ]);
  return readMarkets(markets.items, assets.items);
}

export function readMarkets(
  markets: readonly Schemas["MarketItem"][],
  assets: readonly Pick<Schemas["AssetItem"], "symbol" | "decimals">[],
): Markets {
  const decimals = new Map(assets.map((asset) => [asset.symbol, asset.decimals]));
  return new Map(
    markets.map((item) => [
      item.symbol,
      {
        symbol: item.symbol,
        base: item.base,
        quote: item.quote,
        tick: item.tick,
        lot: item.lot,
        tickDecimals: decimalsOf(item.tick),
        lotDecimals: decimalsOf(item.lot),
        baseDecimals: decimals.get(item.base) ?? 18,
        quoteDecimals: decimals.get(item.quote) ?? 18,
        makerFeeBps: item.maker_fee_bps,
        takerFeeBps: item.taker_fee_bps,
        feeTiers: item.fee_tiers,
        priceBandBps: item.price_band_bps,
        marketBandBps: item.market_band_bps,
        state: item.state,
        lastPrice: item.last_price,
      },
    ]),
  );
}

/** All of it, for those who show that it is loading or could not be had. */
export function useMarketsQuery(): UseQueryResult<Markets> {
  return useQuery({
    queryKey: ["markets"],
    queryFn: fetchMarkets,
    staleTime: ASK_AGAIN_MS,
    refetchInterval: ASK_AGAIN_MS,
  });
}

/** Base and quote by the symbol alone, which is known before the exchange has answered. */
export function assetsOf(symbol: string): [base: string, quote: string] {
  const [base = "", quote = ""] = symbol.split("-");
  return [base, quote];
}

/** Empty until the exchange has answered. */
export function useMarkets(): Markets {
  return useMarketsQuery().data ?? NONE;
}

export function useMarket(symbol: string): Market | undefined {
  return useMarkets().get(symbol);
}

/** The market that is meant where none is named: the one known for that, else the first; null while there is none. */
export function useHomeMarket(): string | null {
  const home = useSyncExternalStore(onHomeMarket, homeMarket);
  const markets = useMarkets();
  const isListed = home !== null && (markets.size === 0 || markets.has(home));
  return isListed ? home : (markets.keys().next().value ?? null);
}

/** The same for the page that shows it, which has it found by what is traded; null until it is known. */
export function useFoundHomeMarket(): string | null {
  const home = useSyncExternalStore(onHomeMarket, homeMarket);
  const markets = useMarkets();
  const isWanted = home === null || (markets.size > 0 && !markets.has(home));
  useEffect(() => {
    if (!isWanted) return;
    const find = (): void => void findHomeMarket().catch(() => undefined);
    find();
    const timer = setInterval(find, FIND_AGAIN_MS);
    return () => clearInterval(timer);
  }, [isWanted]);
  return isWanted ? null : home;
}
