/** Finds commands by some of their letters: "cao" finds "Cancel all orders". */

import type { Command } from "./commands";

export interface Match {
  /** Lower is worse */
  readonly score: number;
  /** Which characters of the text were found, for marking them */
  readonly at: readonly number[];
}

const BEGINS_WORD = 8;
const FOLLOWS = 5;
const FOUND = 1;
const GAP = -0.1;

/**
 * Whether the letters of `query` are in `text` in their order, and how well: beginnings of words and letters that
 * follow each other count most. null when one is missing. Spaces of the query are passed over.
 */
export function fuzzyMatch(query: string, text: string): Match | null {
  const wanted = query.toLowerCase().replace(/\s+/g, "");
  const letters = text.toLowerCase();
  if (wanted.length > letters.length) return null;
  // best[i][j]: the best match of the first i letters whose last is at j
  let before: (Match | null)[] = [];
  for (let i = 0; i < wanted.length; i++) {
    const now: (Match | null)[] = [];
    let bestBefore: Match | null = i === 0 ? { score: 0, at: [] } : null;
    for (let j = 0; j < letters.length; j++) {
      const adjacent = i === 0 ? null : (before[j - 1] ?? null);
      if (i > 0 && j >= 2) bestBefore = better(bestBefore, before[j - 2] ?? null);
      now[j] = null;
      if (letters[j] !== wanted[i]) continue;
      const starts = j === 0 || !/[\p{L}\p{N}]/u.test(letters[j - 1] ?? "");
      const own = FOUND + (starts ? BEGINS_WORD : 0) + j * (i === 0 ? GAP : 0);
      const continued = adjacent === null ? null : { score: adjacent.score + own + FOLLOWS, at: adjacent.at };
      const jumped = bestBefore === null ? null : { score: bestBefore.score + own + (i === 0 ? 0 : GAP), at: bestBefore.at };
      const best = better(continued, jumped);
      now[j] = best === null ? null : { score: best.score, at: [...best.at, j] };
    }
    before = now;
  }
  return wanted === "" ? { score: 0, at: [] } : before.reduce(better, null);
}

function better(one: Match | null, other: Match | null): Match | null {
  if (one === null || (other !== null && other.score > one.score)) return other;
  return one;
}

/** Whether every word of the query begins one of the command's other words. */
function hasKeywords(query: string, command: Command): boolean {
  const words = `${command.keywords ?? ""} ${command.group ?? ""} ${command.title}`.toLowerCase().split(/\s+/);
  return query
    .toLowerCase()
    .trim()
    .split(/\s+/)
    .every((wanted) => words.some((word) => word.startsWith(wanted)));
}

export interface Found {
  readonly command: Command;
  readonly at: readonly number[];
}

/** The commands that fit, the best first; all in their order when nothing is asked for. */
export function findCommands(query: string, commands: readonly Command[]): Found[] {
  if (query.trim() === "") return commands.map((command) => ({ command, at: [] }));
  const found: (Found & { score: number })[] = [];
  for (const command of commands) {
    const inTitle = fuzzyMatch(query, command.title);
    if (inTitle !== null) {
      found.push({ command, at: inTitle.at, score: inTitle.score - command.title.length * 0.01 });
      continue;
    }
    if (hasKeywords(query, command)) found.push({ command, at: [], score: 0 });
  }
  return found.sort((one, other) => other.score - one.score);
}
