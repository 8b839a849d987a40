import { describe, expect, test } from "vitest";

import { cleanDecimal } from "./decimal-text";

/** The field after these keys. */
function typing(keys: string): string {
  return [...keys].reduce((before, key) => cleanDecimal(before + key, before), "");
}

describe("what is pasted", () => {
  test.each([
    ["", ""],
    ["12", "12"],
    ["12.", "12."],
    [".5", ".5"],
    ["1,234", "1234"],
    ["1,234,567.89", "1234567.89"],
    ["1.234.567,89", "1234567.89"],
    ["1.234.567", "1234567"],
    ["1 234.5", "1234.5"],
    ["0,5", "0.5"],
    ["$20", "20"],
    ["20 USDC", "20"],
    ["123456789012345678901234567890.123456789", "123456789012345678901234567890.123456789"],
  ])("%j is %j", (text, kept) => {
    expect(cleanDecimal(text, "")).toBe(kept);
  });

  test.each(["-1", "+1", "1e5", "0x10", "1.2.3", "1,2,3", "1.5,25,3", "1-5", "12a34"])("%j stays, to be refused", (text) => {
    expect(cleanDecimal(text, "")).toBe(text);
  });
});

describe("what is typed", () => {
  test.each([
    ["1234.5", "1234.5"],
    ["0,5", "0.5"],
    ["1.2.3", "1.23"],
    ["-1", "1"],
    ["1a2", "12"],
    [",5", ".5"],
  ])("%j gives %j", (keys, kept) => {
    expect(typing(keys)).toBe(kept);
  });

  test("deleting leaves what is left", () => {
    expect(cleanDecimal("12", "123")).toBe("12");
    expect(cleanDecimal("", "1")).toBe("");
  });
});
