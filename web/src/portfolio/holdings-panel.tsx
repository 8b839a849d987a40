/** Each asset's amount, price and worth now, and all of them together. */

import type { ReactElement } from "react";

import type { Asset } from "../funds/assets";
import { decimalsOf, fromUnits, toUnits } from "../numbers";
import { Link } from "../router";
import type { Balances } from "../trade/balances";
import { Empty } from "../ui/empty";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { leftOutText, priceOf, type Quoted, share, worth } from "./valuation";

interface Props {
  assets: Asset[] | null;
  balances: Balances | null;
  quote: string | null;
  decimals: ReadonlyMap<string, number>;
  quoted: Quoted[];
}

interface Row {
  symbol: string;
  total: string;
  price: string | null;
  value: bigint | null;
}

export function HoldingsPanel({ assets, balances, quote, decimals, quoted }: Props): ReactElement {
  const places = quote === null ? 0 : (decimals.get(quote) ?? 0);
  const rows = assets === null || balances === null ? null : rowsOf(assets, balances, quote, places, quoted);
  const sum = rows?.reduce((all, row) => all + (row.value ?? 0n), 0n) ?? null;
  const unpriced = rows?.filter((row) => row.value === null).map((row) => row.symbol) ?? [];
  const leftOut = leftOutText(unpriced, quote, quoted);
  return (
    <section className="panel" aria-labelledby="portfolio-holdings">
      <header className="panel-head">
        <h2 id="portfolio-holdings">Holdings</h2>
        <span className="muted small">At the prices of the last trades</span>
      </header>
      <div className="panel-body flush">
        <div className="portfolio-sum stat">
          <span>Worth now</span>
          <span className="portfolio-big">
            <Money value={sum === null ? null : fromUnits(sum, places)} asset={quote ?? ""} decimals={2} />
          </span>
          {leftOut !== null && <span className="portfolio-left-out">{leftOut}</span>}
        </div>
        {rows === null ? (
          <div className="portfolio-wait">
            <Loading />
          </div>
        ) : rows.length === 0 ? (
          <Empty icon="portfolio" title="You hold nothing yet" detail="Deposit first, then what you hold is shown here." action={<Link to="/funds">Go to Funds</Link>} />
        ) : (
          <HoldingsTable rows={rows} sum={sum ?? 0n} quote={quote} places={places} />
        )}
      </div>
    </section>
  );
}

function rowsOf(assets: Asset[], balances: Balances, quote: string | null, places: number, quoted: Quoted[]): Row[] {
  return assets.flatMap(({ symbol, decimals }) => {
    const total = balances.get(symbol)?.total ?? "0";
    const atoms = toUnits(total, decimals);
    if (atoms === 0n) return [];
    const price = quote === null ? null : priceOf(symbol, quote, quoted);
    const value = price === null ? null : worth(atoms, decimals, price, places);
    return [{ symbol, total, price: price === null ? null : fromUnits(price.units, price.decimals), value }];
  });
}

function HoldingsTable({ rows, sum, quote, places }: { rows: Row[]; sum: bigint; quote: string | null; places: number }): ReactElement {
  return (
    <div className="table-wrap" role="group" aria-label="Holdings" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Asset</th>
            <th scope="col" className="end">Amount</th>
            <th scope="col" className="end">Price</th>
            <th scope="col" className="end">Worth in {quote}</th>
            <th scope="col" className="end desktop-only">Share</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ symbol, total, price, value }) => (
            <tr key={symbol}>
              <th scope="row">{symbol}</th>
              <td className="num end"><Money value={total} /></td>
              <td className="num end"><Money value={price} {...(price !== null && decimalsOf(price) <= 2 ? { decimals: 2 } : {})} /></td>
              <td className="num end"><Money value={value === null ? null : fromUnits(value, places)} decimals={2} /></td>
              <td className="num end desktop-only">{value === null ? "–" : `${share(value, sum) ?? "0"} %`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
