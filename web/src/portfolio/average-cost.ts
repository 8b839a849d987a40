/**
 * Profit by average cost. Pure, in atoms.
 *
 * What was bought here for the quote asset (USDC) has a known cost: what it cost, fees included. What came in by
 * deposit or transfer has none that anybody here knows, and never counts as profit or loss.
 *
 *   bought for the quote asset    the known part grows by the size, its cost by amount + fee
 *   sold for the quote asset      the known part goes first, at its average cost; profit is what was got for it,
 *                                 less the fee, less that cost. The rest is "sold without a known cost"
 *   one coin for another          no profit: what the given part had cost goes over to what was got for it
 *   deposited, transferred in     the unknown part grows
 *   withdrawn, transferred out    the unknown part goes first, then the known one with its cost: no profit
 *   withdrawal refunded           exactly what it had taken comes back
 */

import { divFloor } from "../numbers";

/** One side of a trade: base for quote, the fee in the quote asset (negative: a rebate). */
export interface TradeEvent {
  kind: "trade";
  timeMs: number;
  base: string;
  quote: string;
  side: "buy" | "sell";
  baseAtoms: bigint;
  quoteAtoms: bigint;
  feeAtoms: bigint;
}

/** Funds that came from outside (positive) or went there. `reference` ties a refund to its withdrawal. */
export interface FlowEvent {
  kind: "flow";
  timeMs: number;
  asset: string;
  changeAtoms: bigint;
  reference: string;
  isRefund: boolean;
}

export type MoneyEvent = TradeEvent | FlowEvent;

/** What there is of one asset. Costs and profits are in atoms of the quote asset. */
export interface Holding {
  knownAtoms: bigint;
  costAtoms: bigint;
  unknownAtoms: bigint;
  /** Profit of what was sold, its fees taken off; negative: a loss. */
  realisedAtoms: bigint;
  /** What was got for the part that was sold without a known cost. */
  soldUnknownAtoms: bigint;
  /** Fees of all its trades for the quote asset. */
  feesAtoms: bigint;
}

interface Taken {
  known: bigint;
  cost: bigint;
  unknown: bigint;
}

/** The holdings after all the events, by asset; the quote asset itself is money, and not among them. */
export function averageCost(events: readonly MoneyEvent[], quote: string): Map<string, Holding> {
  const holdings = new Map<string, Holding>();
  const withdrawn = new Map<string, Taken>();

  function of(asset: string): Holding {
    let holding = holdings.get(asset);
    if (holding === undefined) {
      holding = { knownAtoms: 0n, costAtoms: 0n, unknownAtoms: 0n, realisedAtoms: 0n, soldUnknownAtoms: 0n, feesAtoms: 0n };
      holdings.set(asset, holding);
    }
    return holding;
  }

  for (const event of inOrder(events)) {
    if (event.kind === "flow") {
      if (event.asset !== quote) flow(of(event.asset), event, withdrawn);
    } else if (event.quote === quote) {
      tradeForQuote(of(event.base), event);
    } else if (event.base === quote) {
      tradeForQuote(of(event.quote), turned(event));
    } else {
      tradeCoins(of, event);
    }
  }
  return holdings;
}

/** By time; of the same moment what comes in goes before trades, and trades keep their order. */
function inOrder(events: readonly MoneyEvent[]): MoneyEvent[] {
  const rank = (event: MoneyEvent): number => (event.kind === "flow" ? 0 : 1);
  return [...events].sort((one, other) => one.timeMs - other.timeMs || rank(one) - rank(other));
}

function tradeForQuote(holding: Holding, { side, baseAtoms, quoteAtoms, feeAtoms }: TradeEvent): void {
  holding.feesAtoms += feeAtoms;
  if (side === "buy") {
    holding.knownAtoms += baseAtoms;
    holding.costAtoms += quoteAtoms + feeAtoms;
    return;
  }
  const got = quoteAtoms - feeAtoms;
  const taken = takeKnownFirst(holding, baseAtoms);
  const gotForKnown = baseAtoms === 0n ? 0n : divFloor(got * taken.known, baseAtoms);
  holding.realisedAtoms += gotForKnown - taken.cost;
  holding.soldUnknownAtoms += got - gotForKnown;
}

/** A market that has the quote asset as its base, seen from the other side: buying money is selling the coin. */
function turned(event: TradeEvent): TradeEvent {
  const side = event.side === "buy" ? "sell" : "buy";
  // The fee is in the coin here: it is part of what of the coin went or came.
  const coinAtoms = event.side === "buy" ? event.quoteAtoms + event.feeAtoms : event.quoteAtoms - event.feeAtoms;
  return { ...event, base: event.quote, quote: event.base, side, baseAtoms: coinAtoms, quoteAtoms: event.baseAtoms, feeAtoms: 0n };
}

function tradeCoins(of: (asset: string) => Holding, event: TradeEvent): void {
  const buys = event.side === "buy";
  const [given, got] = buys ? [event.quote, event.base] : [event.base, event.quote];
  const givenAtoms = buys ? event.quoteAtoms + event.feeAtoms : event.baseAtoms;
  const gotAtoms = buys ? event.baseAtoms : event.quoteAtoms - event.feeAtoms;
  const taken = takeKnownFirst(of(given), givenAtoms);
  const known = givenAtoms === 0n ? 0n : divFloor(gotAtoms * taken.known, givenAtoms);
  const holding = of(got);
  holding.knownAtoms += known;
  holding.costAtoms += taken.cost;
  holding.unknownAtoms += gotAtoms - known;
}

function flow(holding: Holding, event: FlowEvent, withdrawn: Map<string, Taken>): void {
  if (event.changeAtoms < 0n) {
    withdrawn.set(event.reference, takeUnknownFirst(holding, -event.changeAtoms));
    return;
  }
  const back = event.isRefund ? withdrawn.get(event.reference) : undefined;
  const atoms = event.changeAtoms;
  if (back !== undefined && back.known + back.unknown === atoms) {
    withdrawn.delete(event.reference);
    holding.knownAtoms += back.known;
    holding.costAtoms += back.cost;
    holding.unknownAtoms += back.unknown;
    return;
  }
  holding.unknownAtoms += atoms;
}

function takeKnownFirst(holding: Holding, atoms: bigint): Taken {
  return take(holding, atoms < holding.knownAtoms ? atoms : holding.knownAtoms, atoms);
}

function takeUnknownFirst(holding: Holding, atoms: bigint): Taken {
  const fromKnown = atoms > holding.unknownAtoms ? atoms - holding.unknownAtoms : 0n;
  return take(holding, fromKnown < holding.knownAtoms ? fromKnown : holding.knownAtoms, atoms);
}

/** More than is there is taken as unknown; it does not go below zero: its history began before the first event. */
function take(holding: Holding, known: bigint, atoms: bigint): Taken {
  const cost = holding.knownAtoms === 0n ? 0n : divFloor(holding.costAtoms * known, holding.knownAtoms);
  const unknown = atoms - known;
  holding.knownAtoms -= known;
  holding.costAtoms -= cost;
  holding.unknownAtoms = holding.unknownAtoms > unknown ? holding.unknownAtoms - unknown : 0n;
  return { known, cost, unknown };
}

/** Average cost of one whole coin, in quote atoms; null where nothing of a known cost is left. */
export function averagePrice(holding: Holding, baseDecimals: number): bigint | null {
  if (holding.knownAtoms === 0n) return null;
  return divFloor(holding.costAtoms * 10n ** BigInt(baseDecimals), holding.knownAtoms);
}
