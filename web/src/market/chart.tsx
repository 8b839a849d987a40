/** A market's candles, with the intervals to choose from. The drawing itself is loaded when the page stands. */

import "./market.css";

import { lazy, type ReactElement, Suspense, useState } from "react";

import { Segments } from "../ui/segments";
import { type Interval, INTERVALS } from "./candles";
import type { ChartOrder } from "./chart-drawing";

export type { ChartOrder } from "./chart-drawing";

const ChartCanvas = lazy(() => import("./chart-canvas"));

const REMEMBERED = "chart.interval";
const NO_ORDERS: readonly ChartOrder[] = [];
const CHOICES = INTERVALS.map((interval) => ({ value: interval, label: interval }));

export interface ChartProps {
  market: string;
  /** One's own open orders: lines at their prices. */
  orders?: readonly ChartOrder[];
  className?: string;
}

export function Chart({ market, orders = NO_ORDERS, className = "" }: ChartProps): ReactElement {
  const [interval, setInterval] = useState(rememberedInterval);
  function choose(next: Interval): void {
    setInterval(next);
    try {
      localStorage.setItem(REMEMBERED, next);
    } catch {
      // Without storage it is chosen anew each time.
    }
  }
  return (
    <section className={`panel chart ${className}`} aria-labelledby="chart-title" data-tour="chart">
      <header className="panel-head chart-head">
        <h2 id="chart-title" className="visually-hidden">
          Chart of {market}
        </h2>
        <Segments label="Interval" value={interval} options={CHOICES} onChange={choose} />
      </header>
      <div className="chart-panel">
        <Suspense fallback={<div className="chart-stage" />}>
          <ChartCanvas market={market} interval={interval} orders={orders} />
        </Suspense>
      </div>
      <p className="chart-foot">
        <span>UTC</span>
        <a href="https://www.tradingview.com/" target="_blank" rel="noopener noreferrer">
          TradingView Lightweight Charts™, © 2026 TradingView, Inc.
        </a>
      </p>
    </section>
  );
}

function rememberedInterval(): Interval {
  try {
    const text = localStorage.getItem(REMEMBERED);
    return INTERVALS.find((interval) => interval === text) ?? "1m";
  } catch {
    return "1m";
  }
}
