/** An asset's balance over time, out of the ledger's own entries. Pure; only a line's pixels are floats. */

import { toUnits } from "../numbers";
import type { LedgerEntry } from "./money-events";

export interface Point {
  timeMs: number;
  /** Available and held, in atoms, from this moment on. */
  atoms: bigint;
}

/** One point for each change of the whole balance, oldest first; what only moves within it makes none. */
export function balancePoints(ledger: readonly LedgerEntry[], asset: string, decimals: number): Point[] {
  const points: Point[] = [];
  for (const entry of ledger) {
    if (entry.asset !== asset) continue;
    const atoms = toUnits(entry.available, decimals) + toUnits(entry.held, decimals);
    const last = points.at(-1);
    if (last !== undefined && last.timeMs === entry.time_ms) last.atoms = atoms;
    else if (last === undefined || last.atoms !== atoms) points.push({ timeMs: entry.time_ms, atoms });
  }
  return points.filter((point, index) => index === 0 || point.atoms !== points[index - 1]?.atoms);
}

export interface Frame {
  fromMs: number;
  toMs: number;
  lowAtoms: bigint;
  highAtoms: bigint;
}

/** From the first change until now, from nothing to the most there was. */
export function frameOf(points: readonly Point[], nowMs: number): Frame | null {
  const first = points[0];
  if (first === undefined) return null;
  const highAtoms = points.reduce((most, point) => (point.atoms > most ? point.atoms : most), 1n);
  const fromMs = Math.min(first.timeMs, nowMs - 60_000);
  return { fromMs, toMs: Math.max(nowMs, points.at(-1)?.timeMs ?? nowMs), lowAtoms: 0n, highAtoms };
}

const SCALE = 1_000_000n;

/** Where an amount is in a frame, as a part of its height: 0 at the bottom, 1 at the top. */
export function heightOf(atoms: bigint, frame: Frame): number {
  return Number(((atoms - frame.lowAtoms) * SCALE) / (frame.highAtoms - frame.lowAtoms)) / Number(SCALE);
}

/** Where a time is in a frame, as a part of its width. */
export function placeOf(timeMs: number, frame: Frame): number {
  return (timeMs - frame.fromMs) / (frame.toMs - frame.fromMs);
}

/** A line of steps: a balance stays as it is until it changes. */
export function stepLine(points: readonly Point[], frame: Frame, width: number, height: number): string {
  const y = (atoms: bigint) => round(height - heightOf(atoms, frame) * height);
  const x = (timeMs: number) => round(placeOf(timeMs, frame) * width);
  let line = `M0 ${height}`;
  for (const point of points) line += `H${x(point.timeMs)}V${y(point.atoms)}`;
  return `${line}H${width}`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

/** The balance at a time; null before the first change. */
export function pointAt(points: readonly Point[], timeMs: number): Point | null {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((points[middle]?.timeMs ?? Infinity) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return points[low - 1] ?? null;
}
