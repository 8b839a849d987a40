/** The newest price, which flashes in the colour of the way it went. */

import { type ReactElement, useEffect, useRef } from "react";

import { compare, grouped, withDecimals } from "../numbers";

const FLASH_MS = 600;
const stillness = matchMedia("(prefers-reduced-motion: reduce)");

interface LastPriceProps {
  price: string | null;
  decimals: number;
}

export function LastPrice({ price, decimals }: LastPriceProps): ReactElement {
  const element = useRef<HTMLSpanElement>(null);
  const before = useRef<string | null>(null);
  const direction = useRef<"up" | "down" | "flat">("flat");
  if (price !== null && before.current !== null && price !== before.current) {
    direction.current = compare(price, before.current) > 0 ? "up" : "down";
  }
  useEffect(() => {
    const hasMoved = before.current !== null && price !== null && before.current !== price;
    before.current = price;
    if (!hasMoved || stillness.matches) return;
    const colour = direction.current === "up" ? "var(--buy-soft)" : "var(--sell-soft)";
    const flash = element.current?.animate([{ backgroundColor: colour }, { backgroundColor: "transparent" }], FLASH_MS);
    return () => flash?.cancel();
  }, [price]);
  return (
    <span ref={element} className={`last-price num ${direction.current}`}>
      {price === null ? "–" : grouped(withDecimals(price, decimals))}
    </span>
  );
}
