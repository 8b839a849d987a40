/** What the person's holdings are worth, how they came about, and what trading brought and cost. */

import "./portfolio.css";

import { type ReactElement, useMemo } from "react";

import { useAssets } from "../funds/assets";
import { inWords } from "../funds/problem-text";
import { SignedOut } from "../funds/signed-out";
import { type Markets, useMarkets } from "../market/markets";
import { useTickers } from "../market/tickers";
import { useSession } from "../session";
import { useBalances } from "../trade/balances";
import { Link } from "../router";
import { Loading } from "../ui/loading";
import { averageCost } from "./average-cost";
import { BalanceChart } from "./balance-chart";
import { FeesPanel } from "./fees-panel";
import { HoldingsPanel } from "./holdings-panel";
import { type Fill, type LedgerEntry, moneyEvents, volumeOfDays } from "./money-events";
import { ProfitPanel } from "./profit-panel";
import { useWholeHistory } from "./use-history";
import { type Quoted, quoteAsset } from "./valuation";

export default function PortfolioPage(): ReactElement {
  const { status } = useSession();
  return (
    <div className="page portfolio-page">
      {status === "unknown" ? (
        <Loading />
      ) : status === "signed-out" ? (
        <SignedOut title="Portfolio" detail="What you hold, what it is worth and what trading brought is shown once you are signed in." />
      ) : (
        <Portfolio />
      )}
    </div>
  );
}

function Portfolio(): ReactElement {
  const markets = useMarkets();
  const assets = useAssets().data;
  const balances = useBalances();
  const tickers = useTickers();
  const { fills, ledger, error } = useWholeHistory<Fill, LedgerEntry>();
  const { me } = useSession();

  const quote = useMemo(() => quoteAsset(markets.values()), [markets]);
  const decimals = useMemo(() => new Map(assets?.map((each) => [each.symbol, each.decimals])), [assets]);
  const quoted = useMemo(() => quotedOf(markets, tickers), [markets, tickers]);
  const holdings = useMemo(() => {
    if (fills === undefined || ledger === undefined || quote === null || decimals.size === 0) return null;
    const { events, unread, unlisted } = moneyEvents(fills.items, ledger.items, markets, decimals);
    return { of: averageCost(events, quote), unread, unlisted, isCut: fills.isCut || ledger.isCut };
  }, [fills, ledger, markets, decimals, quote]);
  const volume = useMemo(
    () =>
      fills === undefined || quote === null
        ? null
        : volumeOfDays(fills.items, markets, quote, decimals.get(quote) ?? 0, Date.now()),
    [fills, markets, quote, decimals],
  );

  return (
    <>
      <header className="page-head">
        <h1>Portfolio</h1>
        <Link to="/proof">Check that the exchange counts your balance</Link>
      </header>
      {error !== null && <p className="note bad">Your history could not be read. {inWords(error).text}</p>}
      <HoldingsPanel assets={assets ?? null} balances={balances} quote={quote} decimals={decimals} quoted={quoted} />
      <BalanceChart assets={assets ?? null} balances={balances} ledger={ledger?.items ?? null} isCut={ledger?.isCut === true} />
      <ProfitPanel holdings={holdings} quote={quote} decimals={decimals} quoted={quoted} />
      <FeesPanel markets={markets} tier={me?.fee_tier ?? 0} volume={fills?.isCut === true ? null : volume} unread={holdings?.unread ?? 0} quote={quote} />
      <DownloadsPanel />
    </>
  );
}

function quotedOf(markets: Markets, tickers: ReturnType<typeof useTickers>): Quoted[] {
  return [...markets.values()].map(({ symbol, base, quote, lastPrice }) => {
    const ticker = tickers.get(symbol);
    return { base, quote, last: ticker?.last ?? lastPrice, bid: ticker?.bid ?? null, ask: ticker?.ask ?? null };
  });
}

const FILES = [
  ["fills", "Trades"],
  ["orders", "Orders"],
  ["ledger", "Every movement"],
  ["deposits", "Deposits"],
  ["withdrawals", "Withdrawals"],
] as const;

function DownloadsPanel(): ReactElement {
  return (
    <section className="panel" aria-labelledby="portfolio-files">
      <header className="panel-head">
        <h2 id="portfolio-files">Download as CSV</h2>
      </header>
      <ul className="panel-body row wrap portfolio-files">
        {FILES.map(([name, title]) => (
          <li key={name}>
            <a className="button quiet s" href={`/v1/${name}.csv`} download>
              {title}
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
