/** How long to wait before another attempt. */

const FIRST_MS = 250;
const LONGEST_MS = 8_000;

/**
 * Milliseconds before the attempt that follows `failures` failed ones: 0 after none, then at random up to a limit
 * that doubles, so that pages that lost the exchange together do not all come back together. `random` is in [0, 1).
 */
export function delayMs(failures: number, random: () => number = Math.random): number {
  if (failures <= 0) return 0;
  const limit = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 30));
  // Never less than half: an attempt at once would not be a wait.
  return Math.round(limit * (0.5 + random() / 2));
}
