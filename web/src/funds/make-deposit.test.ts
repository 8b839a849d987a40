/** The calls of a deposit, against a chain and a wallet that are made up here. */

import { decodeFunctionData, domainSeparator, type Hex, type PublicClient, type TypedDataDefinition } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { describe, expect, it } from "vitest";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import { type Signer, SignatureRefused, type Transaction } from "../wallet/signer";
import { DepositFailed, type DepositOrder, feeReserve, makeDeposit } from "./make-deposit";
import type { DepositRun } from "./steps";
import { NATIVE, TOKEN_ABI, VAULT_ABI } from "./vault-abi";

const ACCOUNT = privateKeyToAccount(`0x${"11".repeat(32)}`);
const VAULT = "0x10Aeafac83d48E2f9ac4bAAf94311c45fACe1404";
const TOKEN = "0xCABEe62adFB2a4d4172Fc2F7536f324FC52C274a";
const DOMAIN = { name: "USDC", version: "1", chainId: 31337, verifyingContract: TOKEN } as const;
const OTHER_HASH = `0x${"ee".repeat(32)}` as const;
const ETH = { symbol: "ETH", decimals: 18, token: NATIVE } as Schemas["AssetItem"];
const USDC = { symbol: "USDC", decimals: 6, token: TOKEN } as Schemas["AssetItem"];

interface Chain {
  balance: bigint;
  allowance: bigint;
  knowsPermits: boolean;
  takesPermits: boolean;
  /** Refuses to change an allowance that is not zero. */
  isStubborn: boolean;
  status: "success" | "reverted";
  /** What the wallet has done to it while it waited. */
  replaced: "repriced" | "cancelled" | "replaced" | null;
}

function client(part: Partial<Chain>): PublicClient {
  const chain: Chain = { balance: 10n ** 20n, allowance: 0n, knowsPermits: true, takesPermits: true, isStubborn: false, status: "success", replaced: null, ...part };
  return {
    getBalance: async () => chain.balance,
    getChainId: async () => 31337,
    estimateGas: async () => 100_000n,
    estimateFeesPerGas: async () => ({ maxFeePerGas: 10n }),
    async readContract({ functionName }: { functionName: string }) {
      if (functionName === "balanceOf") return chain.balance;
      if (functionName === "allowance") return chain.allowance;
      if (!chain.knowsPermits || functionName === "version") throw new Error("reverted");
      return { DOMAIN_SEPARATOR: domainSeparator({ domain: DOMAIN }), nonces: 3n, name: "USDC" }[functionName];
    },
    async call({ to }: { to: string }) {
      if (to === TOKEN && chain.isStubborn) throw new Error("reverted");
      if (to === VAULT && !chain.takesPermits) throw new Error("reverted");
      return {};
    },
    async waitForTransactionReceipt({ hash, onReplaced }: { hash: Hex; onReplaced?(how: object): void }) {
      if (chain.replaced !== null) onReplaced?.({ reason: chain.replaced });
      return { status: chain.status, transactionHash: chain.replaced === null ? hash : OTHER_HASH };
    },
  } as unknown as PublicClient;
}

interface Made {
  sent: string[];
  told: Partial<DepositRun>[];
  signed: TypedDataDefinition[];
}

async function deposit(asset: Schemas["AssetItem"], part: Partial<Chain> = {}, refuses = false): Promise<Made> {
  const made: Made = { sent: [], told: [], signed: [] };
  const signer: Signer = {
    kind: "embedded",
    name: "Mine",
    address: ACCOUNT.address,
    signMessage: async () => "0x",
    async signTypedData(data) {
      made.signed.push(data);
      return ACCOUNT.signTypedData(data as Parameters<typeof ACCOUNT.signTypedData>[0]);
    },
    async sendTransaction(transaction: Transaction) {
      if (refuses) throw new SignatureRefused();
      made.sent.push(inWords(transaction));
      return `0x${made.sent.length.toString(16).padStart(64, "0")}`;
    },
  };
  const order: DepositOrder = {
    client: client(part),
    signer,
    deployment: { vault: VAULT, chain_id: 31337 } as Deployment,
    asset,
    atoms: 2_500n,
    amount: "0.0025",
    account: ACCOUNT.address,
  };
  await makeDeposit(order, (change) => made.told.push(change));
  return made;
}

function inWords({ to, data = "0x", value = 0n }: Transaction): string {
  const { functionName, args } = decodeFunctionData({ abi: to === VAULT ? VAULT_ABI : TOKEN_ABI, data });
  const shown = (args as readonly unknown[]).slice(0, 3).map((each) => String(each).slice(0, 10));
  return `${functionName}(${shown.join(", ")}) with ${value}`;
}

const MINE = ACCOUNT.address.slice(0, 10);
const AT = TOKEN.slice(0, 10);
const DEPOSITED = `deposit(${MINE}, ${AT}, 2500) with 0`;

describe("a deposit", () => {
  it("of the chain's coin is one transaction, with the amount as its value", async () => {
    const { sent, told } = await deposit(ETH);
    expect(sent).toEqual([`depositNative(${MINE}) with 2500`]);
    expect(told.map((each) => each.stage)).toEqual(["wallet", "sent", "mined"]);
  });

  it("of a token that the vault may take already is one transaction", async () => {
    expect((await deposit(USDC, { allowance: 2_500n })).sent).toEqual([DEPOSITED]);
  });

  it("of a token that knows permits takes a signature for exactly the amount", async () => {
    const { sent, signed, told } = await deposit(USDC);
    expect(sent).toEqual([`depositWithPermit(${MINE}, ${AT}, 2500) with 0`]);
    expect(signed[0]).toMatchObject({ domain: DOMAIN, primaryType: "Permit", message: { owner: ACCOUNT.address, spender: VAULT, value: 2_500n, nonce: 3n } });
    expect(told.map((each) => each.stage)).toEqual(["allowing", "wallet", "sent", "mined"]);
  });

  it("of another token is approved first, for exactly the amount", async () => {
    const { sent, told } = await deposit(USDC, { knowsPermits: false });
    expect(sent).toEqual([`approve(${VAULT.slice(0, 10)}, 2500) with 0`, DEPOSITED]);
    expect(told.map((each) => each.stage)).toEqual(["allowing", "allowance-block", "wallet", "sent", "mined"]);
  });

  it("falls back to an approval where the permit is not taken", async () => {
    expect((await deposit(USDC, { takesPermits: false })).sent).toHaveLength(2);
  });

  it("sets an allowance to zero first where the token wants that", async () => {
    const { sent } = await deposit(USDC, { knowsPermits: false, allowance: 1n, isStubborn: true });
    const vault = VAULT.slice(0, 10);
    expect(sent).toEqual([`approve(${vault}, 0) with 0`, `approve(${vault}, 2500) with 0`, DEPOSITED]);
  });

  it("sends nothing when the wallet has too little", async () => {
    await expect(deposit(USDC, { balance: 2_499n })).rejects.toThrow(DepositFailed);
  });

  it("says that it was refused, and what failed on the chain", async () => {
    await expect(deposit(ETH, {}, true)).rejects.toThrow(SignatureRefused);
    await expect(deposit(ETH, { status: "reverted" })).rejects.toThrow(/failed on the chain/);
  });

  it("that was sped up is followed by its new hash", async () => {
    const { told } = await deposit(ETH, { replaced: "repriced" });
    expect(told.at(-1)).toEqual({ stage: "mined", txHash: OTHER_HASH });
  });

  it("that was cancelled or changed in the wallet is none", async () => {
    for (const replaced of ["cancelled", "replaced"] as const) {
      await expect(deposit(ETH, { replaced })).rejects.toThrow(/another transaction in place/);
      await expect(deposit(ETH, { replaced })).rejects.toThrow(DepositFailed);
      await expect(deposit(USDC, { knowsPermits: false, replaced })).rejects.toThrow(DepositFailed);
    }
  });

  it("keeps twice of what its gas costs back, with room for more gas", async () => {
    expect(await feeReserve(client({}), { vault: VAULT } as Deployment, ACCOUNT.address)).toBe(2_500_000n);
  });
});
