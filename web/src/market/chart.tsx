/** A market's candles, with the intervals to choose from. The drawing itself is loaded when the page stands. */

import "./market.css";

import { lazy, type ReactElement, Suspense, useState } from "react";

import { ErrorBoundary } from "../ui/error-boundary";
import { Segments } from "../ui/segments";
import { type Interval, INTERVALS } from "./candles";
import type { ChartCanvasProps } from "./chart-canvas";
import type { ChartOrder } from "./chart-drawing";

export type { ChartOrder } from "./chart-drawing";

const load = (): Promise<typeof import("./chart-canvas")> => import("./chart-canvas");
let ChartCanvas = lazy(load);

/** What could not be loaded is remembered as that: trying again is another try. */
function loadAnew(): void {
  ChartCanvas = lazy(load);
}

function Canvas(props: ChartCanvasProps): ReactElement {
  const Loaded = ChartCanvas;
  return <Loaded {...props} />;
}

const REMEMBERED = "chart.interval";
const NO_ORDERS: readonly ChartOrder[] = [];
const CHOICES = INTERVALS.map((interval) => ({ value: interval, label: interval }));

export interface ChartProps {
  market: string;
  /** One's own open orders: lines at their prices. */
  orders?: readonly ChartOrder[];
  /** One's line was put to another price. */
  onMove?: (order: ChartOrder, price: string) => void;
  className?: string;
}

export function Chart({ market, orders = NO_ORDERS, onMove, className = "" }: ChartProps): ReactElement {
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
        <ErrorBoundary label="The chart" onAgain={loadAnew}>
          <Suspense fallback={<div className="chart-stage" />}>
            <Canvas market={market} interval={interval} orders={orders} onMove={onMove} />
          </Suspense>
        </ErrorBoundary>
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
