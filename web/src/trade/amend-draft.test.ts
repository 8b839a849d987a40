import { describe, expect, it } from "vitest";

import { checkAmend, checkAmendOf } from "./amend-draft";
import type { Order } from "./open-orders";

const MARKET = { tick: "0.01", lot: "0.0001", base: "ETH", quote: "USDC" };
const ORDER = { price: "2990", size: "1", filled: "0.4" } as Order;

describe("a changed order", () => {
  it("is sent as what differs", () => {
    expect(checkAmend({ price: "2990", size: "0.6" }, ORDER, MARKET).change).toEqual({ size: "0.6" });
    expect(checkAmend({ price: "3000.00", size: "1.0" }, ORDER, MARKET).change).toEqual({ price: "3000" });
    expect(checkAmend({ price: "3000", size: "2" }, ORDER, MARKET).change).toEqual({ price: "3000", size: "2" });
    expect(checkAmend({ price: "2990.00", size: "1" }, ORDER, MARKET).change).toBeNull();
  });

  it("keeps its place when it gets smaller at the same price", () => {
    expect(checkAmend({ price: "2990", size: "0.6" }, ORDER, MARKET).keepsPlace).toBe(true);
    expect(checkAmend({ price: "2990", size: "1.1" }, ORDER, MARKET).keepsPlace).toBe(false);
    expect(checkAmend({ price: "2991", size: "0.6" }, ORDER, MARKET).keepsPlace).toBe(false);
  });

  it("is more than what is filled, and whole steps", () => {
    expect(checkAmend({ price: "2990", size: "0.4" }, ORDER, MARKET).errors).toMatchObject([
      { field: "size", code: "amend_below_filled" },
    ]);
    expect(checkAmend({ price: "2990.001", size: "" }, ORDER, MARKET).errors).toMatchObject([
      { field: "price", nearest: ["2990", "2990.01"] },
      { field: "size", code: "field_missing" },
    ]);
  });
});

describe("one field that is changed where it stands", () => {
  it("is sent alone, and only when it differs", () => {
    expect(checkAmendOf("price", "3000.50", ORDER, MARKET).change).toEqual({ price: "3000.5" });
    expect(checkAmendOf("size", ".75", ORDER, MARKET).change).toEqual({ size: "0.75" });
    expect(checkAmendOf("price", "2990.0", ORDER, MARKET)).toEqual({ fault: null, change: null, keepsPlace: true });
  });

  it("is refused with values to take instead", () => {
    expect(checkAmendOf("price", "2990.005", ORDER, MARKET)).toMatchObject({
      fault: { field: "price", nearest: ["2990", "2990.01"] },
      change: null,
    });
    for (const text of ["", "1e3", "-1", "0", "1,5", "0x10"]) {
      expect(checkAmendOf("size", text, ORDER, MARKET)).toMatchObject({ fault: { field: "size" }, change: null });
    }
    expect(checkAmendOf("size", "0.3", ORDER, MARKET).fault?.code).toBe("amend_below_filled");
  });

  it("is compared with what is filled by now", () => {
    const later = { ...ORDER, filled: "0.9" };
    expect(checkAmendOf("size", "0.8", ORDER, MARKET).change).toEqual({ size: "0.8" });
    expect(checkAmendOf("size", "0.8", later, MARKET).change).toBeNull();
    expect(checkAmendOf("price", "3000", later, MARKET).change).toEqual({ price: "3000" });
  });
});
