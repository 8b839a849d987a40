/** What was traded in 30 days, the fee tier, and what each tier costs. */

import type { ReactElement } from "react";

import type { Market, Markets } from "../market/markets";
import { Money } from "../ui/money";

interface Props {
  markets: Markets;
  tier: number;
  /** Null while it is not known. */
  volume: string | null;
  /** Trades that could not be read. */
  unread: number;
  quote: string | null;
}

export function FeesPanel({ markets, tier, volume, unread, quote }: Props): ReactElement {
  const first = [...markets.values()].find((market) => market.quote === quote) ?? null;
  return (
    <section className="panel" aria-labelledby="portfolio-fees">
      <header className="panel-head">
        <h2 id="portfolio-fees">Volume and fees</h2>
      </header>
      <div className="panel-body stack">
        <div className="columns small">
          <div className="stat">
            <span>Traded in 30 days</span>
            <span><Money value={volume} asset={quote ?? ""} decimals={2} /></span>
          </div>
          <div className="stat">
            <span>Your fee tier</span>
            <span className="num">{tier}</span>
          </div>
          {first !== null && (
            <div className="stat">
              <span>You pay in {first.symbol}</span>
              <span className="num">{feesOf(first, tier)}</span>
            </div>
          )}
        </div>
        {first !== null && <Tiers market={first} tier={tier} />}
        <p className="muted small">
          Tiers are by the volume of all your accounts today and on the 30 days before, in UTC, in markets that are quoted in {quote}.
          {unread > 0 && " Trades of markets that are not listed any more are not in the volume shown."}
        </p>
      </div>
    </section>
  );
}

/** A tier beyond the last has the rates of the last. */
function rateOf(market: Market, tier: number): Market["feeTiers"][number] | undefined {
  return market.feeTiers.find((each) => each.tier === tier) ?? market.feeTiers.at(-1);
}

function feesOf(market: Market, tier: number): string {
  const rate = rateOf(market, tier);
  return rate === undefined ? "–" : `${percentOf(rate.maker_fee_bps)} maker, ${percentOf(rate.taker_fee_bps)} taker`;
}

/** Hundredths of a percent as percent. */
export function percentOf(bps: number): string {
  const digits = Math.abs(bps).toString().padStart(3, "0");
  return `${bps < 0 ? "−" : ""}${digits.slice(0, -2)}.${digits.slice(-2)} %`;
}

function Tiers({ market, tier }: { market: Market; tier: number }): ReactElement | null {
  if (market.feeTiers.length < 2) return null;
  const own = rateOf(market, tier)?.tier;
  return (
    <div className="table-wrap" role="group" aria-label={`Fee tiers of ${market.symbol}`} tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Tier</th>
            <th scope="col" className="end">Maker</th>
            <th scope="col" className="end">Taker</th>
          </tr>
        </thead>
        <tbody>
          {market.feeTiers.map((each) => (
            <tr key={each.tier} aria-current={each.tier === own ? "true" : undefined}>
              <th scope="row">
                {each.tier} {each.tier === own && <span className="badge accent">Yours</span>}
              </th>
              <td className="num end">{percentOf(each.maker_fee_bps)}</td>
              <td className="num end">{percentOf(each.taker_fee_bps)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
