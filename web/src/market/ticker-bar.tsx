/** Which market it is, its price, and its last 24 hours. */

import "./market.css";

import type { ReactElement, ReactNode } from "react";

import { grouped, withDecimals } from "../numbers";
import { LastPrice } from "./last-price";
import { MarketSwitcher } from "./market-switcher";
import { assetsOf, type Market, useMarket } from "./markets";
import { changeText, type Ticker, useTicker } from "./tickers";

export interface TickerBarProps {
  market: string;
  className?: string;
}

const STATES: Readonly<Partial<Record<Market["state"], string>>> = {
  pre_open: "Opens soon",
  post_only: "Post-only",
  cancel_only: "Cancel only",
  halted: "Halted",
};

export function TickerBar({ market, className = "" }: TickerBarProps): ReactElement {
  const known = useMarket(market);
  const ticker = useTicker(market);
  const [base, quote] = assetsOf(market);
  const decimals = known?.tickDecimals ?? 2;
  const state = known === undefined ? undefined : STATES[known.state];
  return (
    <section className={`panel ticker-bar ${className}`} aria-label={`${market}, last 24 hours`}>
      <div className="ticker-main">
        <h1 className="visually-hidden">{market}</h1>
        <MarketSwitcher market={market} />
        <LastPrice key={market} price={ticker?.last ?? known?.lastPrice ?? null} decimals={decimals} />
        {state !== undefined && <span className="badge warn">{state}</span>}
      </div>
      <dl className="ticker-facts num">
        <Fact name="change">
          <Change ticker={ticker} decimals={decimals} />
        </Fact>
        <Fact name="high">{priceText(ticker?.high, decimals)}</Fact>
        <Fact name="low">{priceText(ticker?.low, decimals)}</Fact>
        <Fact name={`volume (${base})`}>{volumeText(ticker?.volume)}</Fact>
        <Fact name={`value (${quote})`}>{volumeText(ticker?.quote_volume)}</Fact>
      </dl>
    </section>
  );
}

/** On a phone there is no room to say each time of how long. */
function Fact({ name, children }: { name: string; children: ReactNode }): ReactElement {
  return (
    <div>
      <dt>
        <span className="ticker-span">24h </span>
        {name}
      </dt>
      <dd>{children}</dd>
    </div>
  );
}

function Change({ ticker, decimals }: { ticker: Ticker | null; decimals: number }): ReactElement {
  if (ticker === null || ticker.change === null) return <span>–</span>;
  const isDown = ticker.change.startsWith("-");
  const amount = grouped(withDecimals(ticker.change.replace("-", ""), decimals));
  const tone = isDown ? "sell" : ticker.change_bps === 0 ? "muted" : "buy";
  return (
    <span className={tone}>
      <span className="ticker-amount">
        {isDown ? "−" : "+"}
        {amount}{" "}
      </span>
      {changeText(ticker.change_bps)}
    </span>
  );
}

function priceText(price: string | null | undefined, decimals: number): string {
  return price === null || price === undefined ? "–" : grouped(withDecimals(price, decimals));
}

/** Of large volumes the decimals say nothing. */
function volumeText(volume: string | undefined): string {
  if (volume === undefined) return "–";
  const digits = volume.split(".")[0]?.length ?? 1;
  return grouped(withDecimals(volume, digits > 6 ? 0 : 2));
}
