/** The newest trades of everybody. */

import "./market.css";

import { memo, type ReactElement } from "react";

import { grouped, withDecimals } from "../numbers";
import { Empty } from "../ui/empty";
import { assetsOf, useMarket } from "./markets";
import { TAPE_LENGTH, type Trade, useTape } from "./trades";

export interface TapeProps {
  market: string;
  className?: string;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function Tape({ market, className = "" }: TapeProps): ReactElement {
  const known = useMarket(market);
  const [base, quote] = assetsOf(market);
  const { isLoaded, trades } = useTape(market);
  return (
    <section className={`panel tape ${className}`} aria-labelledby="tape-title">
      <header className="panel-head">
        <h2 id="tape-title">Trades</h2>
      </header>
      <div className="panel-body flush scroll" tabIndex={0} role="group" aria-label="Newest trades" aria-busy={!isLoaded}>
        <table className="tape-table num">
          <caption className="visually-hidden">
            The newest {TAPE_LENGTH} trades of {market}
          </caption>
          <thead>
            <tr>
              <th scope="col">Price ({quote})</th>
              <th scope="col">Size ({base})</th>
              <th scope="col">Time</th>
            </tr>
          </thead>
          <tbody>
            {trades.map((trade, place) => (
              // By its place: rows stay where they are, and only their texts change.
              <TradeRow
                key={place}
                trade={trade}
                priceDecimals={known?.tickDecimals ?? 2}
                sizeDecimals={known?.lotDecimals ?? 4}
              />
            ))}
          </tbody>
        </table>
        {isLoaded && trades.length === 0 && <Empty title="No trades yet" detail="The first trade shows up here." />}
      </div>
    </section>
  );
}

interface TradeRowProps {
  trade: Trade;
  priceDecimals: number;
  sizeDecimals: number;
}

const TradeRow = memo(function TradeRow({ trade, priceDecimals, sizeDecimals }: TradeRowProps) {
  const isBuy = trade.taker_side === "buy";
  const time = new Date(trade.time_ms);
  return (
    <tr>
      <td className={isBuy ? "buy" : "sell"}>
        <span className="tape-arrow" aria-hidden="true">
          {isBuy ? "▲" : "▼"}
        </span>
        <span className="visually-hidden">{isBuy ? "Bought at " : "Sold at "}</span>
        {grouped(withDecimals(trade.price, priceDecimals))}
      </td>
      <td>{grouped(withDecimals(trade.size, sizeDecimals))}</td>
      <td className="muted">
        <time dateTime={time.toISOString()}>{clock.format(time)}</time>
      </td>
    </tr>
  );
});
