import { describe, expect, it } from "vitest";

import * as n from "./numbers";

describe("exact decimals", () => {
  it("reads plain decimals and nothing else", () => {
    expect(n.parseDecimal("3000.05")).toEqual({ units: 300005n, decimals: 2 });
    for (const bad of ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", "0x1", "NaN", "1 2"]) {
      expect(n.parseDecimal(bad)).toBeNull();
    }
  });

  it("keeps every digit of numbers that no float holds", () => {
    const text = "123456789012345678901234567890.123456789012345678";
    expect(n.fromUnits(n.toUnits(text, 18), 18)).toBe(text);
    expect(n.plus("0.1", "0.2")).toBe("0.3");
    expect(n.times("1.1", "1.1")).toBe("1.21");
    expect(n.minus("0.1", "0.3")).toBe("-0.2");
  });

  it("refuses a value finer than the step", () => {
    expect(n.rescale({ units: 5n, decimals: 3 }, 2)).toBeNull();
    expect(() => n.toUnits("0.005", 2)).toThrow(RangeError);
  });

  it("writes the shortest text", () => {
    expect(n.fromUnits(0n, 6)).toBe("0");
    expect(n.fromUnits(-1_500_000n, 6)).toBe("-1.5");
    expect(n.fromUnits(7n, 0)).toBe("7");
  });

  it("cuts off for columns, and sets thousands apart", () => {
    expect(n.withDecimals("1.239", 2)).toBe("1.23");
    expect(n.withDecimals("5", 2)).toBe("5.00");
    expect(n.grouped("1234567.1234")).toBe("1,234,567.1234");
    expect(n.grouped("-1234")).toBe("-1,234");
  });

  it("rounds in the direction that its name says, below zero too", () => {
    expect([n.divFloor(7n, 2n), n.divCeil(7n, 2n)]).toEqual([3n, 4n]);
    expect([n.divFloor(-7n, 2n), n.divCeil(-7n, 2n)]).toEqual([-4n, -3n]);
    expect([n.divFloor(6n, 2n), n.divCeil(6n, 2n)]).toEqual([3n, 3n]);
  });

  it("compares values, not texts", () => {
    expect(n.compare("10", "9")).toBe(1);
    expect(n.compare("1.50", "1.5")).toBe(0);
    expect(n.compare("-1", "0.1")).toBe(-1);
  });
});
