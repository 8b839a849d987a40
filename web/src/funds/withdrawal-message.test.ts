import { describe, expect, it } from "vitest";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { GoodForTooLong, NotWhatWasEntered, signableWithdrawal, type WantedWithdrawal } from "./withdrawal-message";

/** Made by the exchange's own code: `TypedDataDomain.typed_withdrawal` and `.digest` of these values. */
const TYPED_DATA = {
  domain: {
    name: "Exchange",
    version: "1",
    chainId: 31337,
    verifyingContract: "0x1010101010101010101010101010101010101010",
    salt: `0x${"5f".repeat(32)}`,
  },
  primaryType: "Withdrawal",
  types: {
    EIP712Domain: [
      { name: "name", type: "string" },
      { name: "version", type: "string" },
      { name: "chainId", type: "uint256" },
      { name: "verifyingContract", type: "address" },
      { name: "salt", type: "bytes32" },
    ],
    Withdrawal: [
      { name: "account", type: "address" },
      { name: "subAccount", type: "uint8" },
      { name: "token", type: "address" },
      { name: "amount", type: "uint256" },
      { name: "maxFee", type: "uint256" },
      { name: "destination", type: "address" },
      { name: "nonce", type: "uint256" },
      { name: "deadline", type: "uint256" },
    ],
  },
  message: {
    account: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
    subAccount: 0,
    token: "0xcAcacaCacacACaCACaCaCACAcacAcaCACacAcAcA",
    amount: "2500000",
    maxFee: "15000",
    destination: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
    nonce: "1763841600000",
    deadline: 1763845200,
  },
};
const DIGEST = "0x66871e28854b520fb7ccad8b020d0d26eba7f530eea7cd6e2dc6c869be6b269e";

const DEPLOYMENT = {
  chain_id: 31337,
  vault: TYPED_DATA.domain.verifyingContract,
  genesis_id: TYPED_DATA.domain.salt,
} as Deployment;

const WANTED: WantedWithdrawal = {
  account: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  asset: { symbol: "USDC", decimals: 6, token: `0x${"ca".repeat(20)}` } as Schemas["AssetItem"],
  amount: "2.5",
  destination: "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
  maxFee: "0.015",
};
const REQUEST = { nonce: "1763841600000", deadline_s: 1763845200 };
const NOW_S = 1763841600;

function toSign(message: object = {}, domain: object = {}, request: object = {}): Schemas["ToSign"] {
  return {
    typed_data: { ...TYPED_DATA, domain: { ...TYPED_DATA.domain, ...domain }, message: { ...TYPED_DATA.message, ...message } },
    request: { ...REQUEST, ...request },
  };
}

describe("what is signed for a withdrawal", () => {
  it("has the exchange's own digest as its id", () => {
    const signable = signableWithdrawal(DEPLOYMENT, WANTED, toSign(), NOW_S);
    expect(signable.id).toBe(DIGEST);
    expect(signable.request).toEqual({
      asset: "USDC",
      amount: "2.5",
      max_fee: "0.015",
      destination: WANTED.destination,
      nonce: "1763841600000",
      deadline_s: 1763845200,
    });
  });

  it("is made of what was entered, so another message of the server's is refused", () => {
    const other = "0x90F79bf6EB2c4f870365E785982E1f101E93b906";
    const lies = [
      toSign({ destination: other }),
      toSign({ account: other }),
      toSign({ token: other }),
      toSign({ amount: "2500001" }),
      toSign({ maxFee: "15001" }),
      toSign({ subAccount: 1 }),
      toSign({ nonce: "1" }),
      toSign({ deadline: 1763845201 }),
      toSign({}, { chainId: 1 }),
      toSign({}, { verifyingContract: other }),
      toSign({}, { salt: `0x${"00".repeat(32)}` }),
      toSign({}, {}, { nonce: "2" }),
      toSign({}, {}, { deadline_s: 1763845201 }),
      toSign({}, {}, { nonce: 1763841600000 }),
      { typed_data: {}, request: REQUEST },
    ];
    for (const lie of lies) {
      expect(() => signableWithdrawal(DEPLOYMENT, WANTED, lie, NOW_S), JSON.stringify(lie)).toThrow(NotWhatWasEntered);
    }
  });

  it("is not good for longer than a day", () => {
    const deadline = NOW_S + 90_000;
    const long = toSign({ deadline }, {}, { deadline_s: deadline });
    expect(() => signableWithdrawal(DEPLOYMENT, WANTED, long, NOW_S)).toThrow(GoodForTooLong);
  });

  it("is not called the exchange's fault where this device's clock may be wrong", () => {
    const yesterday = NOW_S - 2 * 86_400;
    expect(() => signableWithdrawal(DEPLOYMENT, WANTED, toSign(), yesterday)).toThrow(/this device’s clock/);
  });
});
