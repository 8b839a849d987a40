/** The newest trades of a market, the newest first. */

import { useSyncExternalStore } from "react";

import type { Schemas } from "../api/client";
import type { StreamMessage } from "../stream/stream";
import { LiveStore, storesBy } from "./live-store";

export type Trade = Schemas["TradeItem"];

export interface TapeView {
  readonly isLoaded: boolean;
  readonly trades: readonly Trade[];
}

export const TAPE_LENGTH = 50;
const PUBLISHED_EVERY_MS = 100;

/** What is shown after trades came, oldest first as they are sent: each once, only the newest. */
export function withTrades(shown: readonly Trade[], came: readonly Trade[], length = TAPE_LENGTH): readonly Trade[] {
  const newest = shown[0] === undefined ? -1n : BigInt(shown[0].trade_id);
  const fresh = came.filter((trade) => BigInt(trade.trade_id) > newest);
  return fresh.length === 0 ? shown : [...fresh.slice(-length).reverse(), ...shown].slice(0, length);
}

class TapeStore extends LiveStore<readonly Trade[]> {
  private trades: readonly Trade[] = [];
  private isLoaded = false;
  private shown: TapeView = { isLoaded: false, trades: [] };
  private shownVersion = 0;

  view(): TapeView {
    if (this.shownVersion !== this.version) {
      this.shown = { isLoaded: this.isLoaded, trades: this.trades };
      this.shownVersion = this.version;
    }
    return this.shown;
  }

  protected override take(message: StreamMessage<readonly Trade[]>): void {
    if (message.kind === "ended") return this.reset();
    this.trades = withTrades(message.kind === "snapshot" ? [] : this.trades, message.data);
    this.isLoaded = true;
  }

  protected override reset(): void {
    this.trades = [];
    this.isLoaded = false;
  }
}

const storeOf = storesBy((market) => new TapeStore({ channel: "trades", market }, PUBLISHED_EVERY_MS));

export function useTape(market: string): TapeView {
  const store = storeOf(market);
  return useSyncExternalStore(store.subscribe, () => store.view());
}
