/** The drawing of a chart in React: what is shown is told to it, it is never drawn anew. Loaded when it is needed. */

import { type KeyboardEvent, type ReactElement, useEffect, useRef, useState } from "react";

import { CandleFeed } from "./candle-feed";
import { type Candle, INTERVAL_MS, type Interval } from "./candles";
import { dragOrders } from "./chart-dragging";
import { ChartDrawing, type ChartOrder } from "./chart-drawing";
import { CandleLegend, type LegendHandle } from "./chart-legend";
import { CandleTable } from "./chart-table";
import { useMarket } from "./markets";

export interface ChartCanvasProps {
  market: string;
  interval: Interval;
  orders: readonly ChartOrder[];
  onMove: ((order: ChartOrder, price: string) => void) | undefined;
}

type State = "loading" | "ready" | "empty" | "failed";

const TOLD: Readonly<Record<State, string>> = {
  loading: "",
  ready: "",
  empty: "No trades yet. The first one starts the chart.",
  failed: "The chart can not be loaded. Trying again.",
};

export default function ChartCanvas({ market, interval, orders, onMove }: ChartCanvasProps): ReactElement {
  const stage = useRef<HTMLDivElement>(null);
  const drawing = useRef<ChartDrawing | null>(null);
  const feed = useRef<CandleFeed | null>(null);
  const legend = useRef<LegendHandle>(null);
  const moved = useRef(onMove);
  const [state, setState] = useState<State>("loading");
  const known = useMarket(market);
  const tick = known?.tick;
  const tickDecimals = known?.tickDecimals;

  useEffect(() => {
    if (stage.current === null) return;
    let pointed: Candle | null = null;
    const made = new ChartDrawing(stage.current, {
      point(candle) {
        if (candle === pointed) return;
        pointed = candle;
        legend.current?.point(candle);
      },
      needOlder: () => void feed.current?.loadOlder(),
    });
    drawing.current = made;
    const letGo = dragOrders(stage.current, made, (order, price) => moved.current?.(order, price));
    const onTheme = new MutationObserver(() => made.applyTheme());
    onTheme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      letGo();
      onTheme.disconnect();
      made.destroy();
      drawing.current = null;
    };
  }, []);

  useEffect(() => {
    const made = drawing.current;
    if (made === null || tick === undefined || tickDecimals === undefined) return;
    made.begin({ tick, tickDecimals }, INTERVAL_MS[interval]);
    legend.current?.newest(null);
    setState("loading");
    const following = new CandleFeed(market, interval, {
      onChange(changed) {
        const { candles, last } = following.series;
        if (changed.kind === "tail") made.showTail(candles.slice(changed.from));
        else made.showAll(candles);
        legend.current?.newest(last ?? null);
        setState("ready");
      },
      onState: (next) => setState(next === "ready" && following.isEmpty ? "empty" : next),
    });
    feed.current = following;
    following.start();
    return () => {
      following.stop();
      feed.current = null;
    };
  }, [market, interval, tick, tickDecimals]);

  useEffect(() => drawing.current?.showOrders(orders), [orders]);
  useEffect(() => {
    moved.current = onMove;
  }, [onMove]);

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const made = drawing.current;
    const action = {
      ArrowLeft: () => made?.scroll(-10),
      ArrowRight: () => made?.scroll(10),
      "+": () => made?.zoom(1.25),
      "=": () => made?.zoom(1.25),
      "-": () => made?.zoom(0.8),
      Home: () => made?.toNewest(),
    }[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }

  return (
    <div className="chart-stage" aria-busy={state === "loading"}>
      <CandleLegend handle={legend} market={known} />
      <div
        ref={stage}
        className="chart-canvas"
        role="application"
        aria-roledescription="chart"
        aria-label={`Candles of ${market}, ${interval}. Arrow keys move in time, plus and minus zoom, Home goes to the newest. The newest candles are in a table after it.`}
        tabIndex={0}
        onKeyDown={onKeyDown}
      />
      <p className="chart-message" role="status" hidden={TOLD[state] === ""}>
        {TOLD[state]}
      </p>
      <CandleTable feed={feed} market={market} interval={interval} isReady={state === "ready"} />
    </div>
  );
}
