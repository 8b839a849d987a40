/** How much: by size, by total or by a part of what is available; what it sets aside, and what it would come to. */

import { fromUnits, grouped, toUnits } from "../numbers";
import {
  buyHoldAtoms,
  lotAtoms,
  lotsForHold,
  type MarketRules,
  notionalAtoms,
  parseAtoms,
  parseSteps,
  sizeOf,
  unitAtoms,
} from "./market-rules";
import {
  becomesMarket,
  type DraftError,
  effectiveTimeInForce,
  fault,
  faultOf,
  opposite,
  type OrderDraft,
  stepsOrNull,
  type Surroundings,
  worstTicks,
} from "./order-draft";
import { estimate, type Estimate, NOTHING_MET, walk, type Walked } from "./order-estimate";

/** Lots, or what a market buy may cost, in quote atoms. */
export type Size = { readonly lots: bigint } | { readonly amount: bigint };

export interface ReadSize {
  readonly size: Size | null;
  readonly fault: DraftError | null;
}

/** A market buy at once may say what it costs instead of a size: the exchange then buys what that gets. */
export function isByAmount(draft: OrderDraft): boolean {
  return (
    draft.kind === "market" && draft.side === "buy" && draft.unit === "quote" && effectiveTimeInForce(draft) === "ioc"
  );
}

export function readSize(draft: OrderDraft, worst: bigint | null, around: Surroundings): ReadSize {
  const { rules } = around;
  if (draft.unit === "base") {
    const read = parseSteps(draft.size, rules.lot);
    return read.ok ? { size: { lots: read.steps }, fault: null } : { size: null, fault: faultOf(read, "size", rules.lot, rules.base) };
  }
  const read = parseAtoms(draft.size, rules.quoteDecimals);
  const atom = fromUnits(1n, rules.quoteDecimals);
  if (!read.ok) return { size: null, fault: faultOf(read, "size", atom, rules.quote) };
  if (worst === null) return { size: null, fault: null }; // the price's fault, which is told there
  const lots = lotsForTotal(draft, read.steps, worst, around);
  if (lots === 0n && opposite(draft, around).length > 0) return { size: null, fault: tooSmall(draft, worst, around) };
  if (isByAmount(draft)) return { size: { amount: read.steps }, fault: null };
  return lots === 0n ? { size: null, fault: nobodyThere(draft) } : { size: { lots }, fault: null };
}

/** The lots of a total: of a buy with its fee, of a sell before it. A market order's depend on the book. */
function lotsForTotal(draft: OrderDraft, total: bigint, worst: bigint, around: Surroundings): bigint {
  const { rules } = around;
  const buys = draft.side === "buy";
  if (draft.kind === "market") {
    return walk(opposite(draft, around), draft.side, worst, { atoms: total, withFee: buys }, rules).lots;
  }
  if (buys) return lotsForHold(worst, total, rules);
  const at = draft.kind === "stop" && becomesMarket(draft) ? (stepsOrNull(draft.trigger, rules.tick) ?? worst) : worst;
  return total / (at * unitAtoms(rules));
}

function tooSmall(draft: OrderDraft, worst: bigint, { rules }: Surroundings): DraftError {
  const atoms = draft.side === "buy" ? buyHoldAtoms(worst, 1n, rules) : notionalAtoms(worst, 1n, rules);
  const least = fromUnits(atoms, rules.quoteDecimals);
  const text = `Too small: the least is ${rules.lot} ${rules.base}, about ${least} ${rules.quote}`;
  return fault("size", "amount_buys_nothing", text);
}

function nobodyThere(draft: OrderDraft): DraftError {
  const who = draft.side === "buy" ? "sells" : "buys";
  return fault("size", "amount_buys_nothing", `Nobody ${who} now. Enter a size, or place a limit order`);
}

/** What the order sets aside: a buy of the quote asset, a sell of the base asset; null while its price is not known. */
export function holdAtoms(draft: OrderDraft, size: Size, worst: bigint | null, rules: MarketRules): bigint | null {
  if ("amount" in size) return size.amount;
  if (draft.side === "sell") return size.lots * lotAtoms(rules);
  return worst === null ? null : buyHoldAtoms(worst, size.lots, rules);
}

/** Of what is spent: how much there is, and what it is called. */
function spent(draft: OrderDraft, around: Surroundings): { have: bigint; asset: string; decimals: number } | null {
  const { rules, available } = around;
  if (available === null) return null;
  return draft.side === "buy"
    ? { have: toUnits(available.quote, rules.quoteDecimals), asset: rules.quote, decimals: rules.quoteDecimals }
    : { have: toUnits(available.base, rules.baseDecimals), asset: rules.base, decimals: rules.baseDecimals };
}

export function fundsFault(
  draft: OrderDraft,
  size: Size,
  worst: bigint | null,
  around: Surroundings,
): DraftError | null {
  const { rules } = around;
  const hold = holdAtoms(draft, size, worst, rules);
  const of = spent(draft, around);
  if (hold === null || of === null || hold <= of.have) return null;
  const { have, asset, decimals } = of;
  const shown = (atoms: bigint) => grouped(fromUnits(atoms, decimals));
  if (draft.kind === "market" && draft.side === "buy" && "lots" in size) {
    // no number that moves with the book: it is read out each time that it changes
    const text = `Not enough for the worst price that it may get. You have ${shown(have)} ${asset}`;
    return fault("size", "insufficient_funds", text);
  }
  const text = `Needs up to ${shown(hold)} ${asset}. You have ${shown(have)}.`;
  return fault("size", "insufficient_funds", text, most(draft, have, worst, rules));
}

/** The most that could be had instead, as it would be typed. */
function most(draft: OrderDraft, have: bigint, worst: bigint | null, rules: MarketRules): string[] {
  if (have === 0n) return [];
  if (draft.unit === "quote") return draft.side === "buy" ? [fromUnits(have, rules.quoteDecimals)] : [];
  const lots =
    draft.side === "sell" ? have / lotAtoms(rules) : worst === null ? 0n : lotsForHold(worst, have, rules);
  return lots === 0n ? [] : [sizeOf(lots, rules)];
}

/** The draft with so many percent of what is available as its size; unchanged when that can not be told. */
export function withPercent(draft: OrderDraft, percent: number, around: Surroundings): OrderDraft {
  const { rules } = around;
  const of = spent(draft, around);
  if (of === null) return draft;
  const share = (of.have * BigInt(Math.round(percent))) / 100n;
  if (draft.side === "sell") return bySize(draft, share / lotAtoms(rules), rules);
  if (draft.kind === "market") return { ...draft, unit: "quote", size: text(share, rules.quoteDecimals) };
  const worst = worstTicks(draft, around);
  return worst === null ? draft : bySize(draft, lotsForHold(worst, share, rules), rules);
}

function bySize(draft: OrderDraft, lots: bigint, rules: MarketRules): OrderDraft {
  return { ...draft, unit: "base", size: lots === 0n ? "" : sizeOf(lots, rules) };
}

function text(atoms: bigint, decimals: number): string {
  return atoms === 0n ? "" : fromUnits(atoms, decimals);
}

/** How much of what is available the draft takes, 0 to 100, for the slider's place. */
export function percentOf(draft: OrderDraft, around: Surroundings): number {
  const of = spent(draft, around);
  if (of === null || of.have === 0n) return 0;
  const worst = worstTicks(draft, around);
  const { size } = readSize(draft, worst, around);
  const hold = size === null ? null : holdAtoms(draft, size, worst, around.rules);
  if (hold === null) return 0;
  const rounded = (hold * 100n + of.have / 2n) / of.have;
  return rounded > 100n ? 100 : Number(rounded);
}

/** What it would come to now; of a stop, at its own price, for what it will meet nobody knows. */
export function estimateOf(
  draft: OrderDraft,
  size: Size,
  worst: bigint | null,
  around: Surroundings,
): Estimate | null {
  if (worst === null) return null;
  const { rules } = around;
  const { side } = draft;
  if ("amount" in size) {
    const met = walk(around.asks, "buy", worst, { atoms: size.amount, withFee: true }, rules);
    return met.lots === 0n ? null : estimate({ side, met, restsAt: null, lots: met.lots, limit: worst, rules });
  }
  const { lots } = size;
  const tif = effectiveTimeInForce(draft);
  if (draft.kind === "stop") {
    const trigger = parseSteps(draft.trigger, rules.tick);
    const at = becomesMarket(draft) && trigger.ok ? trigger.steps : worst;
    return estimate({ side, met: wholeAt(at, lots, rules), restsAt: null, lots, limit: worst, rules });
  }
  if (tif === "post_only") return estimate({ side, met: NOTHING_MET, restsAt: worst, lots, limit: worst, rules });
  const met = walk(opposite(draft, around), side, worst, { lots }, rules);
  const stays = draft.kind === "limit" && (tif === "gtc" || tif === "gtt");
  return estimate({ side, met, restsAt: stays ? worst : null, lots, limit: worst, rules });
}

function wholeAt(ticks: bigint, lots: bigint, rules: MarketRules): Walked {
  return { lots, notional: notionalAtoms(ticks, lots, rules), lastTicks: ticks };
}
