/** A market in whole numbers: ticks, lots and atoms, as the engine counts (docs/trading.md). Nothing here rounds unsaid. */

import { decimalsOf, divCeil, divFloor, fromUnits, parseDecimal, rescale, toUnits } from "../numbers";

export interface MarketRules {
  readonly symbol: string;
  readonly base: string;
  readonly quote: string;
  readonly tick: string;
  readonly lot: string;
  readonly baseDecimals: number;
  readonly quoteDecimals: number;
  readonly state: "pre_open" | "open" | "post_only" | "cancel_only" | "halted";
  /** Of the person's own fee tier. */
  readonly makerFeeBps: number;
  readonly takerFeeBps: number;
  /** How far a market order without a price may go. */
  readonly marketBandBps: number;
  /** How much worse than the market a price may be; 0: as much as it likes. */
  readonly priceBandBps: number;
}

export interface FeeTier {
  readonly tier: number;
  readonly maker_fee_bps: number;
  readonly taker_fee_bps: number;
}

/** The rates of a tier; one beyond the table has the last. */
export function ratesOf(tiers: readonly FeeTier[], tier: number): { makerFeeBps: number; takerFeeBps: number } {
  const rates = tiers[Math.min(tier, tiers.length - 1)];
  return { makerFeeBps: rates?.maker_fee_bps ?? 0, takerFeeBps: rates?.taker_fee_bps ?? 0 };
}

const BPS = 10_000n;

export function priceOf(ticks: bigint, rules: Pick<MarketRules, "tick">): string {
  const decimals = decimalsOf(rules.tick);
  return fromUnits(ticks * toUnits(rules.tick, decimals), decimals);
}

export function sizeOf(lots: bigint, rules: Pick<MarketRules, "lot">): string {
  const decimals = decimalsOf(rules.lot);
  return fromUnits(lots * toUnits(rules.lot, decimals), decimals);
}

/** Ticks of a price that the exchange itself has told. Throws on any other. */
export function ticksOf(price: string, rules: MarketRules): bigint {
  const step = toUnits(rules.tick, decimalsOf(rules.tick));
  return toUnits(price, decimalsOf(rules.tick)) / step;
}

export function lotsOf(size: string, rules: MarketRules): bigint {
  const step = toUnits(rules.lot, decimalsOf(rules.lot));
  return toUnits(size, decimalsOf(rules.lot)) / step;
}

/** Quote atoms of one lot at one tick, which are whole; the tick alone may be finer than an atom. */
export function unitAtoms(rules: MarketRules): bigint {
  const [tickDecimals, lotDecimals] = [decimalsOf(rules.tick), decimalsOf(rules.lot)];
  const product = toUnits(rules.tick, tickDecimals) * toUnits(rules.lot, lotDecimals);
  return (product * 10n ** BigInt(rules.quoteDecimals)) / 10n ** BigInt(tickDecimals + lotDecimals);
}

export function notionalAtoms(ticks: bigint, lots: bigint, rules: MarketRules): bigint {
  return ticks * lots * unitAtoms(rules);
}

export function lotAtoms(rules: MarketRules): bigint {
  return toUnits(rules.lot, rules.baseDecimals);
}

/** The fee of an order: what its fills cost at their rates, in sum rounded up once. Negative: a rebate. */
export function feeAtoms(takerNotional: bigint, makerNotional: bigint, rules: MarketRules): bigint {
  return divCeil(takerNotional * BigInt(rules.takerFeeBps) + makerNotional * BigInt(rules.makerFeeBps), BPS);
}

/** What a buy sets aside: its notional and the fee on it at the higher of the two rates. */
export function buyHoldAtoms(ticks: bigint, lots: bigint, rules: MarketRules): bigint {
  const notional = notionalAtoms(ticks, lots, rules);
  return notional + divCeil(notional * higherBps(rules), BPS);
}

/** The most lots at this price that a buy can set aside so many atoms for. */
export function lotsForHold(ticks: bigint, atoms: bigint, rules: MarketRules): bigint {
  const notional = (atoms * BPS) / (BPS + higherBps(rules));
  return notional / (ticks * unitAtoms(rules));
}

/** The largest notional whose taker fee fits into the amount as well. */
export function notionalForAmount(atoms: bigint, rules: MarketRules): bigint {
  return (atoms * BPS) / (BPS + BigInt(rules.takerFeeBps));
}

function higherBps(rules: MarketRules): bigint {
  return BigInt(Math.max(rules.makerFeeBps, rules.takerFeeBps));
}

/** What the engine takes as the market's price: the last, held between the best quotes; null when there is none. */
export function referenceTicks(last: bigint | null, bid: bigint | null, ask: bigint | null): bigint | null {
  if (last === null) return bid !== null && ask !== null ? (bid + ask) / 2n : (bid ?? ask);
  if (bid !== null && bid > last) return bid;
  if (ask !== null && ask < last) return ask;
  return last;
}

/** The worst price of a band around a reference. */
export function bandTicks(side: "buy" | "sell", reference: bigint, bandBps: number): bigint {
  if (side === "buy") return divFloor(reference * (BPS + BigInt(bandBps)), BPS);
  const worst = divCeil(reference * (BPS - BigInt(bandBps)), BPS);
  return worst < 1n ? 1n : worst;
}

export type Stepped =
  | { readonly ok: true; readonly steps: bigint }
  | {
      readonly ok: false;
      readonly fault: "missing" | "not_a_decimal" | "must_be_positive" | "too_many_decimals" | "off_step";
      /** Values that would be taken. */
      readonly nearest: readonly string[];
    };

/** Reads what was typed as whole steps (ticks or lots). Takes ".5" and "5." for what they mean. */
export function parseSteps(text: string, step: string): Stepped {
  const typed = tidy(text);
  if (typed === "") return { ok: false, fault: "missing", nearest: [] };
  const value = typed.length > 80 ? null : parseDecimal(typed);
  if (value === null) return { ok: false, fault: "not_a_decimal", nearest: [] };
  if (value.units === 0n) return { ok: false, fault: "must_be_positive", nearest: [] };
  const decimals = decimalsOf(step);
  const size = toUnits(step, decimals);
  const exact = rescale(value, decimals);
  if (exact !== null && exact % size === 0n) return { ok: true, steps: exact / size };
  const scale = Math.max(decimals, value.decimals);
  const wide = rescale(value, scale) ?? 0n;
  const wideStep = size * 10n ** BigInt(scale - decimals);
  const below = wide / wideStep;
  const nearest = [below, below + 1n].filter((steps) => steps > 0n).map((steps) => fromUnits(steps * size, decimals));
  return { ok: false, fault: exact === null ? "too_many_decimals" : "off_step", nearest };
}

/** Reads what was typed as atoms of an asset. */
export function parseAtoms(text: string, decimals: number): Stepped {
  return parseSteps(text, decimals === 0 ? "1" : `0.${"1".padStart(decimals, "0")}`);
}

/** As the API takes decimals: ".5" is "0.5", "5." is "5", leading zeros go. */
export function tidy(text: string): string {
  let typed = text.trim();
  if (/^\.\d+$/.test(typed)) typed = `0${typed}`;
  if (/^\d+\.$/.test(typed)) typed = typed.slice(0, -1);
  return typed.replace(/^0+(?=\d)/, "");
}
