import { describe, expect, it } from "vitest";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import type { Signer } from "../wallet/signer";
import { NotWhatWasEntered } from "./withdrawal-message";
import { purposeOf, refusalFor, type WithdrawalOrder, type WithdrawalRun } from "./withdrawal-runs";

const OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const ORDER: WithdrawalOrder = {
  account: OWNER,
  asset: { symbol: "USDC", decimals: 6, token: `0x${"ca".repeat(20)}` } as Schemas["AssetItem"],
  amount: "2.5",
  destination: OWNER,
  maxFee: "0.5",
  signer: {} as Signer,
  deployment: { vault: OTHER } as Deployment,
};

function quote(fee: string, receives: string): Schemas["WithdrawalQuoteAnswer"] {
  return { fee, max_fee: "0.5", receives } as Schemas["WithdrawalQuoteAnswer"];
}

function shown(of: Schemas["WithdrawalQuoteAnswer"], order = ORDER): Record<string, string> {
  return Object.fromEntries(purposeOf(order, of, 1_700_000_000).lines.map(({ label, value }) => [label, value]));
}

describe("what a withdrawal is said to be before it is signed", () => {
  it("has what arrives worked out here, of what is signed", () => {
    expect(shown(quote("0.5", "2"))).toMatchObject({ Amount: "2.5 USDC", Fee: "0.5 USDC", "You receive": "2 USDC", To: OWNER });
    expect(shown(quote("0.5", "1000000"))["You receive"]).toBe("2 USDC");
    expect(shown(quote("0.1", "2.4"))).toMatchObject({
      Fee: "0.1, at most 0.5 USDC",
      "You receive": "2.4, at least 2 USDC",
    });
  });

  it("does not promise what the highest fee would take", () => {
    expect(shown(quote("0.1", "0.3"), { ...ORDER, amount: "0.4" })["You receive"]).toBe("0.3, at least 0 USDC");
  });

  it("is nothing that does not fit together", () => {
    expect(() => shown(quote("0.6", "1.9"))).toThrow(NotWhatWasEntered);
    expect(() => shown(quote("-1", "3.5"))).toThrow(NotWhatWasEntered);
    expect(() => shown(quote("0.5", "0"), { ...ORDER, amount: "0.4" })).toThrow(NotWhatWasEntered);
  });

  it("warns of a destination that is not the own wallet", () => {
    expect(purposeOf(ORDER, quote("0.5", "2"), 1).warning).toBeUndefined();
    expect(purposeOf({ ...ORDER, destination: OTHER }, quote("0.5", "2"), 1).warning).toMatch(/not your own wallet/);
  });
});

describe("what the last attempt was refused for", () => {
  const problem = { field: "amount", text: "The fee has just risen." } as const;
  const run = { asset: "USDC", amount: "10.5", stage: "refused", problem } as WithdrawalRun;

  it("is told as long as the same is entered, however it is written", () => {
    expect(refusalFor(run, "USDC", "10.50")).toBe(problem);
    expect(refusalFor(run, "USDC", " 10.5 ")).toBe(problem);
  });

  it("is no matter of something else", () => {
    expect(refusalFor(run, "USDC", "10.51")).toBeNull();
    expect(refusalFor(run, "ETH", "10.5")).toBeNull();
    expect(refusalFor(run, "USDC", "")).toBeNull();
    expect(refusalFor(run, "USDC", "10,5 or so")).toBeNull();
    expect(refusalFor({ ...run, stage: "cancelled" }, "USDC", "10.5")).toBeNull();
    expect(refusalFor(null, "USDC", "10.5")).toBeNull();
  });
});
