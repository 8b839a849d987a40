/** Profit by average cost, realised and not, with how it is counted. */

import type { ReactElement } from "react";

import { type Decimal, fromUnits } from "../numbers";
import { Empty } from "../ui/empty";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { averagePrice, type Holding } from "./average-cost";
import { leftOutText, priceOf, type Quoted, worth } from "./valuation";

interface Props {
  holdings: { of: Map<string, Holding>; unread: number; unlisted: readonly string[]; isCut: boolean } | null;
  quote: string | null;
  decimals: ReadonlyMap<string, number>;
  quoted: Quoted[];
}

interface Row {
  symbol: string;
  bought: string;
  average: string | null;
  realised: bigint;
  unrealised: bigint | null;
  fees: string;
  unknown: string;
}

export function ProfitPanel({ holdings, quote, decimals, quoted }: Props): ReactElement {
  const places = quote === null ? 0 : (decimals.get(quote) ?? 0);
  const rows = holdings === null || quote === null ? null : rowsOf(holdings.of, quote, places, decimals, quoted);
  const realised = rows?.reduce((sum, row) => sum + row.realised, 0n) ?? null;
  const open = rows?.reduce((sum, row) => sum + (row.unrealised ?? 0n), 0n) ?? null;
  const unpriced = rows?.filter((row) => row.unrealised === null).map((row) => row.symbol) ?? [];
  const leftOut = leftOutText(unpriced, quote, quoted);
  const text = (atoms: bigint | null) => (atoms === null ? null : fromUnits(atoms, places));
  return (
    <section className="panel" aria-labelledby="portfolio-profit">
      <header className="panel-head">
        <h2 id="portfolio-profit">Profit and loss</h2>
        <span className="muted small">By average cost, in {quote}</span>
      </header>
      <div className="panel-body flush">
        <div className="columns small portfolio-stats">
          <div className="stat">
            <span>Realised, fees taken off</span>
            <span><Money signed value={text(realised)} asset={quote ?? ""} decimals={2} /></span>
          </div>
          <div className="stat">
            <span>Not realised</span>
            <span><Money signed value={text(open)} asset={quote ?? ""} decimals={2} /></span>
            {leftOut !== null && <span className="portfolio-left-out">{leftOut}</span>}
          </div>
        </div>
        {rows === null ? (
          <div className="portfolio-wait">
            <Loading />
          </div>
        ) : rows.length === 0 ? (
          <Empty icon="swap" title="No trades yet" detail="Profit and loss are counted from your first trade on." />
        ) : (
          <ProfitTable rows={rows} text={text} />
        )}
        <div className="portfolio-note muted small stack tight">
          <p>
            The cost of what you bought here is what you paid for it, fees included. What you deposited has no known
            cost: it never counts as profit or loss, is sold after what you bought, and withdrawn before it. One coin
            traded for another takes its cost along.
          </p>
          {holdings !== null && holdings.unread > 0 && <p>{holdings.unread === 1 ? "One trade" : `${holdings.unread} trades`} of markets that are not listed any more: not counted.</p>}
          {holdings !== null && holdings.unlisted.length > 0 && (
            <p>What came and went of {holdings.unlisted.join(", ")} is not counted: the exchange does not list it any more.</p>
          )}
          {holdings?.isCut === true && <p>Your history is long: only its beginning is counted. The CSV file has all of it.</p>}
        </div>
      </div>
    </section>
  );
}

function rowsOf(holdings: Map<string, Holding>, quote: string, places: number, decimals: ReadonlyMap<string, number>, quoted: Quoted[]): Row[] {
  return [...holdings].flatMap(([symbol, holding]) => {
    const own = decimals.get(symbol) ?? 0;
    const hasTraded = holding.knownAtoms !== 0n || holding.realisedAtoms !== 0n || holding.feesAtoms !== 0n || holding.soldUnknownAtoms !== 0n;
    if (!hasTraded) return [];
    const price = priceOf(symbol, quote, quoted);
    const average = averagePrice(holding, own);
    return [
      {
        symbol,
        bought: fromUnits(holding.knownAtoms, own),
        average: average === null ? null : fromUnits(average, places),
        realised: holding.realisedAtoms,
        unrealised: unrealisedOf(holding, own, price, places),
        fees: fromUnits(holding.feesAtoms, places),
        unknown: fromUnits(holding.unknownAtoms, own),
      },
    ];
  });
}

/** What nothing is held of needs no price. */
function unrealisedOf({ knownAtoms, costAtoms }: Holding, decimals: number, price: Decimal | null, places: number): bigint | null {
  if (knownAtoms === 0n) return -costAtoms;
  return price === null ? null : worth(knownAtoms, decimals, price, places) - costAtoms;
}

function ProfitTable({ rows, text }: { rows: Row[]; text(atoms: bigint | null): string | null }): ReactElement {
  return (
    <div className="table-wrap" role="group" aria-label="Profit and loss by asset" tabIndex={0}>
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Asset</th>
            <th scope="col" className="end">Bought, still held</th>
            <th scope="col" className="end">Average cost</th>
            <th scope="col" className="end">Realised</th>
            <th scope="col" className="end">Not realised</th>
            <th scope="col" className="end">Fees paid</th>
            <th scope="col" className="end">Without a known cost</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.symbol}>
              <th scope="row">{row.symbol}</th>
              <td className="num end"><Money value={row.bought} /></td>
              <td className="num end"><Money value={row.average} decimals={2} /></td>
              <td className="num end"><Money signed value={text(row.realised)} decimals={2} /></td>
              <td className="num end"><Money signed value={text(row.unrealised)} decimals={2} /></td>
              <td className="num end"><Money value={row.fees} decimals={2} /></td>
              <td className="num end"><Money value={row.unknown} /></td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
