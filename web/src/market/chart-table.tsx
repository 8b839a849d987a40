/** The newest candles as a table, for those who do not see the chart. Made anew now and then, not with each trade. */

import { type ReactElement, type RefObject, useEffect, useState } from "react";

import type { CandleFeed } from "./candle-feed";
import type { Candle, Interval } from "./candles";

const ROWS = 10;
const EVERY_MS = 30_000;

interface CandleTableProps {
  feed: RefObject<CandleFeed | null>;
  market: string;
  interval: Interval;
  isReady: boolean;
}

export function CandleTable({ feed, market, interval, isReady }: CandleTableProps): ReactElement {
  const [candles, setCandles] = useState<readonly Candle[]>([]);
  useEffect(() => {
    const read = (): void => setCandles(feed.current?.series.candles.slice(-ROWS).reverse() ?? []);
    read();
    const timer = window.setInterval(read, EVERY_MS);
    return () => window.clearInterval(timer);
  }, [feed, market, interval, isReady]);
  return (
    <div className="visually-hidden">
      <table>
        <caption>
          The newest candles of {market}, {interval}
        </caption>
        <thead>
          <tr>
            {["Begins (UTC)", "Open", "High", "Low", "Close", "Volume"].map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {candles.map((candle) => (
            <tr key={candle.open_ms}>
              <th scope="row">{new Date(candle.open_ms).toISOString().slice(0, 16).replace("T", " ")}</th>
              <td>{candle.open}</td>
              <td>{candle.high}</td>
              <td>{candle.low}</td>
              <td>{candle.close}</td>
              <td>{candle.volume}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
