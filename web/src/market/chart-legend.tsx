/** Open, high, low, close and volume of the candle pointed at, or of the newest. Written past React: it moves with the mouse. */

import { type ReactElement, type Ref, useImperativeHandle, useRef } from "react";

import { decimalsOf, grouped, minus, toUnits, withDecimals } from "../numbers";
import type { Candle } from "./candles";
import type { Market } from "./markets";
import { changeText } from "./tickers";

export interface LegendHandle {
  /** The candle under the crosshair; null for none. */
  point(candle: Candle | null): void;
  newest(candle: Candle | null): void;
}

interface LegendProps {
  handle: Ref<LegendHandle>;
  market: Market | undefined;
}

export function CandleLegend({ handle, market }: LegendProps): ReactElement {
  const values = useRef<HTMLDListElement>(null);
  const shown = useRef<{ pointed: Candle | null; newest: Candle | null }>({ pointed: null, newest: null });
  useImperativeHandle(handle, () => {
    function write(): void {
      const candle = shown.current.pointed ?? shown.current.newest;
      const cells = values.current?.querySelectorAll("dd") ?? [];
      const texts = candle === null ? [] : textsOf(candle, market);
      cells.forEach((cell, at) => (cell.textContent = texts[at] ?? "–"));
      values.current?.setAttribute("data-direction", candle === null ? "" : directionOf(candle));
    }
    return {
      point(candle) {
        shown.current.pointed = candle;
        write();
      },
      newest(candle) {
        // The one pointed at may be the one that grows.
        const { pointed } = shown.current;
        if (pointed !== null && pointed.open_ms === candle?.open_ms) shown.current.pointed = candle;
        shown.current.newest = candle;
        write();
      },
    };
  }, [market]);
  return (
    <dl ref={values} className="chart-legend num" aria-hidden="true">
      {["O", "H", "L", "C", "", "Vol"].map((name) => (
        <div key={name} className={name === "" ? "chart-legend-change" : undefined}>
          <dt>{name}</dt>
          <dd>–</dd>
        </div>
      ))}
    </dl>
  );
}

function textsOf(candle: Candle, market: Market | undefined): string[] {
  const decimals = market?.tickDecimals ?? 2;
  const price = (text: string): string => grouped(withDecimals(text, decimals));
  const volume = grouped(withDecimals(candle.volume, Math.min(market?.lotDecimals ?? 4, 4)));
  return [
    price(candle.open),
    price(candle.high),
    price(candle.low),
    price(candle.close),
    changeText(changeBps(candle)),
    volume,
  ];
}

/** From open to close in hundredths of a percent, towards zero. */
function changeBps(candle: Candle): number {
  const decimals = Math.max(decimalsOf(candle.open), decimalsOf(candle.close));
  const open = toUnits(candle.open, decimals);
  const change = toUnits(candle.close, decimals) - open;
  return open === 0n ? 0 : Number((change * 10_000n) / open);
}

function directionOf(candle: Candle): "up" | "down" | "flat" {
  const change = minus(candle.close, candle.open);
  return change === "0" ? "flat" : change.startsWith("-") ? "down" : "up";
}
