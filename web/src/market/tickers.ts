/** The last 24 hours of every market, as they move. */

import { useQuery } from "@tanstack/react-query";
import { useMemo, useSyncExternalStore } from "react";

import { api, type Schemas } from "../api/client";
import type { StreamMessage } from "../stream/stream";
import { LiveStore, storesBy } from "./live-store";
import { useMarkets } from "./markets";

export type Ticker = Schemas["TickerItem"];

/** With more markets than these their tickers are asked for now and then, not followed. */
const MOST_FOLLOWED = 40;
const ASK_AGAIN_MS = 10_000;
const PUBLISHED_EVERY_MS = 100;

class TickerStore extends LiveStore<Ticker> {
  private newest: Ticker | null = null;
  private shown: Ticker | null = null;
  private shownVersion = 0;

  view(): Ticker | null {
    if (this.shownVersion !== this.version) {
      this.shown = this.newest;
      this.shownVersion = this.version;
    }
    return this.shown;
  }

  protected override take(message: StreamMessage<Ticker>): void {
    if (message.kind !== "ended") this.newest = message.data;
  }

  protected override reset(): void {
    this.newest = null;
  }
}

const storeOf = storesBy((market) => new TickerStore({ channel: "ticker", market }, PUBLISHED_EVERY_MS));

/** One market's; null until it has come. */
export function useTicker(market: string): Ticker | null {
  const store = storeOf(market);
  return useSyncExternalStore(store.subscribe, () => store.view());
}

/** Those of all markets, by symbol; what has not come yet is left out. */
export function useTickers(): ReadonlyMap<string, Ticker> {
  const markets = useMarkets();
  const group = useMemo(() => new TickerGroup([...markets.keys()].slice(0, MOST_FOLLOWED)), [markets]);
  const live = useSyncExternalStore(group.subscribe, group.view);
  const { data } = useQuery({
    queryKey: ["tickers"],
    queryFn: () => api.get<Schemas["TickersAnswer"]>("/v1/tickers"),
    refetchInterval: ASK_AGAIN_MS,
    enabled: markets.size > MOST_FOLLOWED,
  });
  return useMemo(() => {
    const asked = (data?.items ?? []).map((ticker): [string, Ticker] => [ticker.market, ticker]);
    return new Map([...asked, ...live]);
  }, [data, live]);
}

class TickerGroup {
  private shown: ReadonlyMap<string, Ticker> = new Map();
  private shownOf = "";

  constructor(private readonly markets: readonly string[]) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    const stops = this.markets.map((market) => storeOf(market).subscribe(listener));
    return () => stops.forEach((stop) => stop());
  };

  readonly view = (): ReadonlyMap<string, Ticker> => {
    const versions = this.markets.map((market) => storeOf(market).version).join(" ");
    if (versions !== this.shownOf) {
      const found = this.markets.map((market): [string, Ticker | null] => [market, storeOf(market).view()]);
      this.shown = new Map(found.filter((entry): entry is [string, Ticker] => entry[1] !== null));
      this.shownOf = versions;
    }
    return this.shown;
  };
}

/** "+1.23%", from hundredths of a percent; an exact text, for a change is no price. */
export function changeText(bps: number | null): string {
  if (bps === null) return "–";
  const digits = Math.abs(bps).toString().padStart(3, "0");
  const sign = bps > 0 ? "+" : bps < 0 ? "−" : "";
  return `${sign}${digits.slice(0, -2)}.${digits.slice(-2)}%`;
}
