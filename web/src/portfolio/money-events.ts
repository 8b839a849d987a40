/** What the exchange's histories say, as events for the average cost; and the volume of the last days. Pure. */

import type { Schemas } from "../api/client";
import { fromUnits, toUnits } from "../numbers";
import type { FlowEvent, MoneyEvent, TradeEvent } from "./average-cost";

export type Fill = Schemas["FillItem"];
export type LedgerEntry = Schemas["LedgerItem"];
export type Decimals = ReadonlyMap<string, number>;
/** Base and quote of a market. */
export type Pairs = ReadonlyMap<string, { base: string; quote: string }>;

/** What crosses the border of the account. A settlement moves nothing of it: the request had taken it already. */
const FLOWS = new Set(["deposit", "transfer", "withdrawal", "withdrawal_refunded"]);

/**
 * Trades of a market that is not listed any more can not be read: they are counted, not guessed. What comes and goes
 * of an asset that is not listed can not be either: it is named.
 */
export function moneyEvents(
  fills: readonly Fill[],
  ledger: readonly LedgerEntry[],
  pairs: Pairs,
  decimals: Decimals,
): { events: MoneyEvent[]; unread: number; unlisted: string[] } {
  const events: MoneyEvent[] = [];
  const unlisted = new Set<string>();
  let unread = 0;
  for (const fill of fills) {
    const event = tradeOf(fill, pairs, decimals);
    if (event === null) unread += 1;
    else events.push(event);
  }
  for (const entry of ledger) {
    const event = flowOf(entry, decimals);
    if (event !== null) events.push(event);
    else if (FLOWS.has(entry.kind) && !decimals.has(entry.asset)) unlisted.add(entry.asset);
  }
  return { events, unread, unlisted: [...unlisted].sort() };
}

function tradeOf(fill: Fill, pairs: Pairs, decimals: Decimals): TradeEvent | null {
  const pair = pairs.get(fill.market);
  if (pair === undefined) return null;
  const base = decimals.get(pair.base);
  const quote = decimals.get(pair.quote);
  if (base === undefined || quote === undefined || fill.fee_asset !== pair.quote) return null;
  return {
    kind: "trade",
    timeMs: fill.time_ms,
    base: pair.base,
    quote: pair.quote,
    side: fill.side === "buy" ? "buy" : "sell",
    baseAtoms: toUnits(fill.size, base),
    quoteAtoms: toUnits(fill.amount, quote),
    feeAtoms: toUnits(fill.fee, quote),
  };
}

function flowOf(entry: LedgerEntry, decimals: Decimals): FlowEvent | null {
  const places = decimals.get(entry.asset);
  if (!FLOWS.has(entry.kind) || places === undefined) return null;
  const changeAtoms = toUnits(entry.available_change, places) + toUnits(entry.held_change, places);
  if (changeAtoms === 0n) return null;
  return {
    kind: "flow",
    timeMs: entry.time_ms,
    asset: entry.asset,
    changeAtoms,
    reference: entry.reference,
    isRefund: entry.kind === "withdrawal_refunded",
  };
}

const DAY_MS = 86_400_000;
const DAYS = 30;

/**
 * What was traded for the quote asset today and on the 30 days before, as fee tiers count it: whole days in UTC.
 * Only this account's: a tier also counts the owner's other accounts.
 */
export function volumeOfDays(fills: readonly Fill[], pairs: Pairs, quote: string, quoteDecimals: number, nowMs: number): string {
  const fromMs = (Math.floor(nowMs / DAY_MS) - DAYS) * DAY_MS;
  let atoms = 0n;
  for (const fill of fills) {
    if (fill.time_ms >= fromMs && pairs.get(fill.market)?.quote === quote) atoms += toUnits(fill.amount, quoteDecimals);
  }
  return fromUnits(atoms, quoteDecimals);
}
