import { expect, it } from "vitest";

import { delayMs } from "./backoff";

it("does not wait before the first attempt", () => {
  expect(delayMs(0)).toBe(0);
});

it("waits longer with each failure, up to a limit", () => {
  const longest = (failures: number): number => delayMs(failures, () => 1);
  expect([1, 2, 3, 4].map(longest)).toEqual([500, 1_000, 2_000, 4_000]);
  expect(longest(1_000)).toBe(8_000);
});

it("waits at random, but never less than half", () => {
  expect(delayMs(3, () => 0)).toBe(1_000);
  for (let n = 0; n < 100; n += 1) {
    const delay = delayMs(3);
    expect(delay).toBeGreaterThanOrEqual(1_000);
    expect(delay).toBeLessThanOrEqual(2_000);
  }
});
