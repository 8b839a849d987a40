import type { TypedDataDefinition } from "viem";
import { afterEach, describe, expect, it, vi } from "vitest";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { SignatureRefused, type Signer } from "../wallet/signer";
import { NotWhatWasEntered, WITHDRAWAL_TYPES } from "./withdrawal-message";
import { purposeOf, refusalFor, startWithdrawal, type WithdrawalOrder, withdrawalRun, type WithdrawalRun } from "./withdrawal-runs";

const OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC";
const ORDER: WithdrawalOrder = {
  account: OWNER,
  asset: { symbol: "USDC", decimals: 6, token: `0x${"ca".repeat(20)}` } as Schemas["AssetItem"],
  amount: "2.5",
  destination: OWNER,
  maxFee: "0.5",
  signer: {} as Signer,
  deployment: { vault: OTHER, chain_id: 31337, genesis_id: `0x${"5f".repeat(32)}` } as Deployment,
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

describe("the fee that is signed for", () => {
  afterEach(() => vi.unstubAllGlobals());

  it.each([
    ["0.5", "500000"],
    ["0.3", "300000"],
    ["0.51", null],
  ])("is %s by the quote of the moment, at most what was shown", async (maxFee, signed) => {
    vi.stubGlobal("fetch", async () => new Response(JSON.stringify(quoteToSign(maxFee)), { status: 200 }));
    let asked: string | null = null;
    const signTypedData = async (data: TypedDataDefinition): Promise<never> => {
      asked = String((data.message as { maxFee: bigint }).maxFee);
      throw new SignatureRefused();
    };
    const id = startWithdrawal({ ...ORDER, signer: { signTypedData } as unknown as Signer });
    const isOver = signed === null ? "refused" : "cancelled";
    await vi.waitFor(() => expect(withdrawalRun(id)?.stage).toBe(isOver), { timeout: 30_000 });
    expect(asked).toBe(signed);
  });
});

/** As the exchange would answer. */
function quoteToSign(maxFee: string): object {
  const { deployment, asset } = ORDER;
  const deadlineS = Math.floor(Date.now() / 1_000) + 3_600;
  const atoms = String(Number(maxFee) * 1_000_000);
  const typedData = {
    domain: { name: "Exchange", version: "1", chainId: 31337, verifyingContract: OTHER, salt: deployment.genesis_id },
    primaryType: "Withdrawal",
    types: WITHDRAWAL_TYPES,
    message: {
      account: OWNER,
      subAccount: 0,
      token: asset.token,
      amount: "2500000",
      maxFee: atoms,
      destination: OWNER,
      nonce: "17",
      deadline: deadlineS,
    },
  };
  const toSign = { typed_data: typedData, request: { nonce: "17", deadline_s: deadlineS } };
  return { ...quote(maxFee, "0"), max_fee: maxFee, refusals: [], to_sign: toSign };
}

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
