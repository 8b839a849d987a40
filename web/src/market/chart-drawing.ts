/**
 * The chart on its canvas. Here, and only here, a price becomes a number: to place a pixel. What is read as text (the
 * legend) stays exact.
 */

import {
  type AutoscaleInfo,
  CandlestickSeries,
  ColorType,
  createChart,
  CrosshairMode,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  LineStyle,
  type UTCTimestamp,
} from "lightweight-charts";

import { fromUnits, grouped, toUnits } from "../numbers";
import { type Candle, filled } from "./candles";
import type { Market } from "./markets";

export interface ChartOrder {
  readonly id: string;
  readonly side: "buy" | "sell";
  readonly price: string;
  /** What is still open, as an exact decimal. */
  readonly remaining: string;
  /** What it is while it waits for this price, in no book: "Stop". */
  readonly waitsAs: string | null;
}

interface Colours {
  ground: string;
  text: string;
  line: string;
  strong: string;
  buy: string;
  sell: string;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
/** Bars shown at first, and the room right of the newest. */
const FIRST_BARS = 110;
const MARGIN_BARS = 4;
/** Older candles are asked for when fewer than these are left outside of view. */
const AHEAD_BARS = 40;
/** How far from a line it is still taken. */
const GRAB_PX = 5;

export class ChartDrawing {
  private readonly chart: IChartApi;
  private readonly candles: ISeriesApi<"Candlestick">;
  private readonly volumes: ISeriesApi<"Histogram">;
  private readonly lines = new Map<string, { text: string; line: IPriceLine }>();
  private colours: Colours;
  private orders: readonly ChartOrder[] = [];
  private byTime = new Map<number, Candle>();
  private intervalMs = MINUTE_MS;
  private market: Pick<Market, "tick" | "tickDecimals"> | undefined;
  /** The order whose line is somewhere else than its price. */
  private moved: string | null = null;

  constructor(
    private readonly element: HTMLElement,
    on: {
      /** The candle under the crosshair; null for none: then the newest is meant. */
      point(candle: Candle | null): void;
      needOlder(): void;
    },
  ) {
    this.colours = coloursOf(element);
    this.chart = createChart(element, {
      autoSize: true,
      layout: { attributionLogo: false, fontFamily: getComputedStyle(element).fontFamily, fontSize: 11 },
      crosshair: { mode: CrosshairMode.Normal },
      rightPriceScale: { minimumWidth: 72, scaleMargins: { top: 0.12, bottom: 0.22 } },
      timeScale: { timeVisible: true, secondsVisible: false, rightOffset: MARGIN_BARS, minBarSpacing: 1 },
      handleScroll: { vertTouchDrag: false },
    });
    this.candles = this.chart.addSeries(CandlestickSeries, {
      borderVisible: false,
      autoscaleInfoProvider: (original: () => AutoscaleInfo | null) => this.withNearOrders(original()),
    });
    this.volumes = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume",
      priceFormat: { type: "volume" },
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.volumes.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.chart.subscribeCrosshairMove((move) => {
      on.point(typeof move.time === "number" ? (this.byTime.get(move.time) ?? null) : null);
    });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (range !== null && range.from < AHEAD_BARS && this.byTime.size > 0) on.needOlder();
    });
    this.applyTheme();
  }

  destroy(): void {
    this.chart.remove();
  }

  /** Another market or interval: nothing is shown until its candles come. */
  begin(market: Pick<Market, "tick" | "tickDecimals"> | undefined, intervalMs: number): void {
    this.market = market;
    this.intervalMs = intervalMs;
    this.byTime = new Map();
    if (market !== undefined) {
      const { tickDecimals } = market;
      const formatter = (price: number): string => grouped(price.toFixed(tickDecimals));
      this.candles.applyOptions({ priceFormat: { type: "custom", minMove: Number(market.tick), formatter } });
    }
    this.candles.setData([]);
    this.volumes.setData([]);
    this.chart.applyOptions({ timeScale: { timeVisible: intervalMs < DAY_MS, secondsVisible: intervalMs < MINUTE_MS } });
    this.candles.priceScale().applyOptions({ autoScale: true });
  }

  /** All there are. The first time the newest are brought into view; later the view stays where it is. */
  showAll(candles: readonly Candle[]): void {
    const isFirst = this.byTime.size === 0;
    const all = filled(candles, this.intervalMs);
    this.byTime = new Map(all.map((candle) => [timeOf(candle), candle]));
    this.candles.setData(all.map(barOf));
    this.volumes.setData(all.map((candle) => this.volumeOf(candle)));
    if (!isFirst || all.length === 0) return;
    const bars = Math.min(FIRST_BARS, Math.max(40, all.length));
    this.chart.timeScale().setVisibleLogicalRange({ from: all.length - bars, to: all.length + MARGIN_BARS });
  }

  /** The candle that is drawn last, as it is now, and those after it. */
  showTail(tail: readonly Candle[]): void {
    for (const candle of filled(tail, this.intervalMs)) {
      this.byTime.set(timeOf(candle), candle);
      this.candles.update(barOf(candle));
      this.volumes.update(this.volumeOf(candle));
    }
  }

  showOrders(orders: readonly ChartOrder[]): void {
    this.orders = orders;
    const seen = new Set<string>();
    for (const order of orders) {
      seen.add(order.id);
      const text = `${titleOf(order)} ${order.price} ${this.colours[order.side]}`;
      const shown = this.lines.get(order.id);
      if (shown?.text === text) continue;
      const colour = this.colours[order.side];
      const options = {
        price: Number(order.price),
        title: titleOf(order),
        color: colour,
        axisLabelColor: colour,
        axisLabelTextColor: this.colours.ground,
        lineWidth: 1,
        lineStyle: order.waitsAs === null ? LineStyle.LargeDashed : LineStyle.Dotted,
        axisLabelVisible: true,
      } as const;
      if (shown === undefined) this.lines.set(order.id, { text, line: this.candles.createPriceLine(options) });
      else {
        shown.line.applyOptions(options);
        shown.text = text;
      }
    }
    for (const [id, { line }] of this.lines) {
      if (seen.has(id)) continue;
      this.candles.removePriceLine(line);
      this.lines.delete(id);
    }
  }

  /** Whose line is at this height, of those that stand in the book. */
  orderAt(y: number): ChartOrder | null {
    if (y > this.chart.paneSize().height) return null;
    const distance = ({ price }: ChartOrder): number => Math.abs((this.candles.priceToCoordinate(Number(price)) ?? Infinity) - y);
    return this.orders.find((order) => order.waitsAs === null && distance(order) <= GRAB_PX) ?? null;
  }

  /** Puts the line of an order to this height, and says what price that is; null: it goes back to its own. */
  moveOrder(order: ChartOrder | null, y: number): string | null {
    if (this.moved !== null && this.moved !== order?.id) {
      const left = this.orders.find(({ id }) => id === this.moved);
      if (left !== undefined) this.lines.get(left.id)?.line.applyOptions({ price: Number(left.price) });
    }
    this.moved = order?.id ?? null;
    const height = Math.min(Math.max(y, 0), this.chart.paneSize().height);
    const price = this.candles.coordinateToPrice(height);
    if (order === null || price === null || this.market === undefined) return null;
    const { tick, tickDecimals } = this.market;
    const ticks = Math.max(1, Math.round(price / Number(tick)));
    const text = fromUnits(BigInt(ticks) * toUnits(tick, tickDecimals), tickDecimals);
    this.lines.get(order.id)?.line.applyOptions({ price: Number(text) });
    return text;
  }

  /** Reads the colours of the page again. */
  applyTheme(): void {
    const colours = coloursOf(this.element);
    this.colours = colours;
    const axis = { borderColor: colours.line };
    const cross = { color: colours.text, labelBackgroundColor: colours.strong };
    this.chart.applyOptions({
      layout: { background: { type: ColorType.Solid, color: colours.ground }, textColor: colours.text },
      grid: { vertLines: { color: colours.line }, horzLines: { color: colours.line } },
      rightPriceScale: axis,
      timeScale: axis,
      crosshair: { vertLine: cross, horzLine: cross },
    });
    this.candles.applyOptions({
      upColor: colours.buy,
      downColor: colours.sell,
      wickUpColor: colours.buy,
      wickDownColor: colours.sell,
    });
    this.volumes.setData([...this.byTime.values()].sort(byOpen).map((candle) => this.volumeOf(candle)));
    this.showOrders(this.orders);
  }

  /** By so many bars: negative goes back in time. */
  scroll(bars: number): void {
    const scale = this.chart.timeScale();
    scale.scrollToPosition(scale.scrollPosition() + bars, false);
  }

  zoom(factor: number): void {
    const scale = this.chart.timeScale();
    const spacing = scale.options().barSpacing * factor;
    scale.applyOptions({ barSpacing: Math.min(60, Math.max(1, spacing)) });
  }

  toNewest(): void {
    this.candles.priceScale().applyOptions({ autoScale: true });
    this.chart.timeScale().scrollToPosition(MARGIN_BARS, false);
  }

  /** Orders that are not far off are kept in view: no further than the candles shown are high. */
  private withNearOrders(info: AutoscaleInfo | null): AutoscaleInfo | null {
    if (info?.priceRange == null) return info;
    const { minValue, maxValue } = info.priceRange;
    const reach = maxValue - minValue;
    const near = this.orders
      .map((order) => Number(order.price))
      .filter((price) => price > minValue - reach && price < maxValue + reach);
    const priceRange = { minValue: Math.min(minValue, ...near), maxValue: Math.max(maxValue, ...near) };
    return { ...info, priceRange };
  }

  private volumeOf(candle: Candle): { time: UTCTimestamp; value: number; color: string } {
    const isDown = Number(candle.close) < Number(candle.open);
    const colour = isDown ? this.colours.sell : this.colours.buy;
    return { time: timeOf(candle), value: Number(candle.volume), color: faded(colour) };
  }
}

function titleOf({ side, remaining, waitsAs }: ChartOrder): string {
  const words = waitsAs === null ? (side === "buy" ? "Buy" : "Sell") : `${waitsAs} ${side}`;
  return `${words} ${remaining}`;
}

function timeOf(candle: Candle): UTCTimestamp {
  return (candle.open_ms / 1_000) as UTCTimestamp;
}

function byOpen(one: Candle, other: Candle): number {
  return one.open_ms - other.open_ms;
}

function barOf(candle: Candle): { time: UTCTimestamp; open: number; high: number; low: number; close: number } {
  return {
    time: timeOf(candle),
    open: Number(candle.open),
    high: Number(candle.high),
    low: Number(candle.low),
    close: Number(candle.close),
  };
}

function coloursOf(element: HTMLElement): Colours {
  const style = getComputedStyle(element);
  const read = (name: string): string => style.getPropertyValue(name).trim();
  return {
    ground: read("--surface"),
    text: read("--muted"),
    line: read("--line"),
    strong: read("--accent-fill"),
    buy: read("--buy"),
    sell: read("--sell"),
  };
}

/** The colour at a third of its strength; tokens are written #rrggbb. */
function faded(colour: string): string {
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}55` : colour;
}
