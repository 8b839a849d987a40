import { expect, test } from "vitest";

import { shownAmount } from "./money";

test.each([
  ["1234567.891", undefined, "1,234,567.891"],
  ["1234.5", 2, "1,234.50"],
  ["0.999", 2, "0.99"],
  ["-1234.5", 2, "−1,234.50"],
  ["-0.001", 2, "0.00"],
  ["5", 0, "5"],
])("%s with %s decimals reads %s", (value, decimals, shown) => {
  expect(shownAmount(value, decimals)).toBe(shown);
});
