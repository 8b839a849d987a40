/**
 * What is signed for a withdrawal. It is made here, of what the person entered, never taken from the server;
 * what the server's quote asks to sign must be the very same, or nothing is signed. Its digest is the
 * withdrawal's id, at the exchange and on the chain.
 */

import { type Address, hashTypedData, type Hex, type TypedDataDefinition } from "viem";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { toUnits } from "../numbers";

const MAX_LIFE_S = 24 * 3_600;

export const WITHDRAWAL_TYPES = {
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
} as const;

export interface WantedWithdrawal {
  account: Address;
  asset: Schemas["AssetItem"];
  amount: string;
  destination: Address;
  /** The fee that was shown as the most. */
  maxFee: string;
}

export interface SignableWithdrawal {
  data: TypedDataDefinition;
  /** The digest of `data`. */
  id: Hex;
  /** The body of the request, but for the signature. */
  request: Record<string, unknown>;
  deadlineS: number;
}

/** The server asks to sign something else than what was entered. */
export class NotWhatWasEntered extends Error {
  constructor() {
    super("The exchange asks you to sign something else than what you entered. Nothing was signed.");
    this.name = "NotWhatWasEntered";
  }
}

/** It would stay good for longer than anything here needs to: by this device's clock, which may be what is wrong. */
export class GoodForTooLong extends Error {
  constructor() {
    super("By this device’s clock, what is to be signed would stay good for more than a day. Is its date and time right? Nothing was signed.");
    this.name = "GoodForTooLong";
  }
}

/** Throws NotWhatWasEntered, GoodForTooLong. */
export function signableWithdrawal(
  deployment: Deployment,
  wanted: WantedWithdrawal,
  toSign: Schemas["ToSign"],
  nowS: number,
): SignableWithdrawal {
  const { nonce, deadline_s: deadlineS } = toSign.request;
  if (typeof nonce !== "string" || !/^\d{1,19}$/.test(nonce)) throw new NotWhatWasEntered();
  if (typeof deadlineS !== "number" || !Number.isSafeInteger(deadlineS)) throw new NotWhatWasEntered();
  if (deadlineS > nowS + MAX_LIFE_S + 300) throw new GoodForTooLong(); // 5 minutes for clocks that differ
  const data = {
    domain: {
      name: "Exchange",
      version: "1",
      chainId: deployment.chain_id,
      verifyingContract: deployment.vault as Address,
      salt: deployment.genesis_id as Hex,
    },
    types: WITHDRAWAL_TYPES,
    primaryType: "Withdrawal",
    message: {
      account: wanted.account,
      subAccount: 0,
      token: wanted.asset.token as Address,
      amount: toUnits(wanted.amount, wanted.asset.decimals),
      maxFee: toUnits(wanted.maxFee, wanted.asset.decimals),
      destination: wanted.destination,
      nonce: BigInt(nonce),
      deadline: BigInt(deadlineS),
    },
  } as const;
  const id = hashTypedData(data);
  if (id !== digestOf(toSign.typed_data)) throw new NotWhatWasEntered();
  const request = {
    asset: wanted.asset.symbol,
    amount: wanted.amount,
    max_fee: wanted.maxFee,
    destination: wanted.destination,
    nonce,
    deadline_s: deadlineS,
  };
  return { data: data as TypedDataDefinition, id, request, deadlineS };
}

/** The digest of the server's message; null for what is none. */
function digestOf(typedData: Record<string, unknown>): Hex | null {
  try {
    return hashTypedData(typedData as unknown as Parameters<typeof hashTypedData>[0]);
  } catch {
    return null;
  }
}

/** What is signed to put an address on the list of withdrawal addresses. */
export function addressMessage(
  deployment: Deployment,
  account: Address,
  destination: Address,
  nonce: bigint,
  deadlineS: number,
): TypedDataDefinition {
  return {
    domain: {
      name: "Exchange",
      version: "1",
      chainId: deployment.chain_id,
      verifyingContract: deployment.vault as Address,
      salt: deployment.genesis_id as Hex,
    },
    types: {
      WithdrawalAddress: [
        { name: "account", type: "address" },
        { name: "destination", type: "address" },
        { name: "nonce", type: "uint256" },
        { name: "deadline", type: "uint256" },
      ],
    },
    primaryType: "WithdrawalAddress",
    message: { account, destination, nonce, deadline: BigInt(deadlineS) },
  };
}
