import { describe, expect, test } from "vitest";

import { cleanDecimal } from "./decimal-text";

describe("cleanDecimal", () => {
  test.each([
    ["", ""],
    ["12", "12"],
    ["12.", "12."],
    [".5", ".5"],
    ["1,234", "1234"],
    ["1,234,567.89", "1234567.89"],
    ["1 234.5", "1234.5"],
    ["0,5", "0.5"],
    ["12,", "12."],
    ["1.2.3", "1.23"],
    ["-1", "1"],
    ["1e5", "15"],
    ["$20", "20"],
    ["123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"],
  ])("%j becomes %j", (typed, kept) => {
    expect(cleanDecimal(typed)).toBe(kept);
  });
});
