/**
 * One deposit, from the wallet into the vault: the chain's own coin by one transaction, a token after the vault
 * was allowed to take exactly this amount (by a signed permit where the token knows them, else by an approval).
 *
 * A transaction that was sent is never made a second time. What becomes of it is told by its hash.
 */

import { type Address, encodeFunctionData, type Hex, parseSignature, type PublicClient, type TransactionReceipt } from "viem";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import type { Purpose, Signer } from "../wallet/signer";
import { permitFor } from "./permit";
import { receiptOf, Replaced } from "./receipt";
import type { DepositRun } from "./steps";
import { NATIVE, TOKEN_ABI, VAULT_ABI } from "./vault-abi";

type Asset = Schemas["AssetItem"];
type Tell = (change: Partial<DepositRun>) => void;

export interface DepositOrder {
  client: PublicClient;
  signer: Signer;
  deployment: Deployment;
  asset: Asset;
  atoms: bigint;
  /** As a decimal, for people. */
  amount: string;
  /** Who is credited: the account that is signed in. */
  account: Address;
}

export const REVERTED = "The transaction failed on the chain. Nothing was deposited; it has cost its network fee.";

/** Nothing was deposited; the message says why. */
export class DepositFailed extends Error {}

/** Ends when the deposit is in a block. Throws DepositFailed, SignatureRefused, and what wallet and node say. */
export async function makeDeposit(order: DepositOrder, tell: Tell): Promise<void> {
  await requireFunds(order);
  const call = order.asset.token === NATIVE ? nativeCall(order) : await tokenCall(order, tell);
  tell({ stage: "wallet" });
  const txHash = await order.signer.sendTransaction({ to: vaultOf(order), ...call }, purposeOf(order));
  tell({ stage: "sent", txHash });
  const receipt = await inBlock(order.client, txHash);
  if (receipt.status !== "success") {
    throw new DepositFailed(REVERTED);
  }
  tell({ stage: "mined", txHash: receipt.transactionHash }); // another hash when the wallet has sped it up
}

function vaultOf(order: DepositOrder): Address {
  return order.deployment.vault as Address;
}

async function requireFunds({ client, signer, asset, atoms }: DepositOrder): Promise<void> {
  const balance = await walletBalance(client, asset, signer.address);
  if (balance < atoms) throw new DepositFailed(`Your wallet has less ${asset.symbol} than this. Nothing was sent.`);
}

/** What a wallet has of an asset on the chain, in atoms. */
export function walletBalance(client: PublicClient, asset: Asset, holder: Address): Promise<bigint> {
  if (asset.token === NATIVE) return client.getBalance({ address: holder });
  return client.readContract({
    address: asset.token as Address,
    abi: TOKEN_ABI,
    functionName: "balanceOf",
    args: [holder],
  });
}

function nativeCall({ account, atoms }: DepositOrder): { value: bigint; data: Hex } {
  return { value: atoms, data: encodeFunctionData({ abi: VAULT_ABI, functionName: "depositNative", args: [account] }) };
}

async function tokenCall(order: DepositOrder, tell: Tell): Promise<{ data: Hex }> {
  const { client, signer, asset, atoms, account } = order;
  const token = asset.token as Address;
  const plain = encodeFunctionData({ abi: VAULT_ABI, functionName: "deposit", args: [account, token, atoms] });
  const allowed = await client.readContract({
    address: token,
    abi: TOKEN_ABI,
    functionName: "allowance",
    args: [signer.address, vaultOf(order)],
  });
  if (allowed >= atoms) return { data: plain };
  const permitted = await withPermit(order, tell);
  if (permitted !== null) return { data: permitted };
  await approve(order, allowed, tell);
  return { data: plain };
}

/** The call with a signed permit; null where the token does not take one. */
async function withPermit(order: DepositOrder, tell: Tell): Promise<Hex | null> {
  const { client, signer, asset, atoms, account } = order;
  const token = asset.token as Address;
  const permit = await permitFor(client, token, signer.address, vaultOf(order), atoms, Math.floor(Date.now() / 1_000));
  if (permit === null) return null;
  tell({ allowance: "permit", stage: "allowing" });
  const { r, s, v, yParity } = parseSignature(await signer.signTypedData(permit.data, allowancePurpose(order)));
  const data = encodeFunctionData({
    abi: VAULT_ABI,
    functionName: "depositWithPermit",
    args: [account, token, atoms, permit.deadline, Number(v ?? BigInt(27 + yParity)), r, s],
  });
  try {
    await client.call({ account: signer.address, to: vaultOf(order), data });
  } catch {
    return null; // tokens that have the functions and keep other rules
  }
  return data;
}

async function approve(order: DepositOrder, allowed: bigint, tell: Tell): Promise<void> {
  const { client, signer, asset, atoms } = order;
  const call = (amount: bigint) =>
    encodeFunctionData({ abi: TOKEN_ABI, functionName: "approve", args: [vaultOf(order), amount] });
  const token = asset.token as Address;
  // Some tokens refuse to change an allowance that is not zero.
  const isRefused = allowed > 0n && (await client.call({ account: signer.address, to: token, data: call(atoms) }).then(() => false, () => true));
  for (const amount of isRefused ? [0n, atoms] : [atoms]) {
    tell({ allowance: "approve", stage: "allowing" });
    const hash = await signer.sendTransaction({ to: token, data: call(amount) }, allowancePurpose(order));
    tell({ stage: "allowance-block", allowanceHash: hash });
    const receipt = await inBlock(client, hash);
    if (receipt.status !== "success") throw new DepositFailed(`${asset.symbol} could not be approved. Nothing was deposited.`);
  }
}

/** Throws DepositFailed when the wallet has put another transaction in its place. */
async function inBlock(client: PublicClient, hash: Hex): Promise<TransactionReceipt> {
  try {
    return await receiptOf(client, hash);
  } catch (error) {
    throw error instanceof Replaced ? new DepositFailed(error.message) : error;
  }
}

function purposeOf(order: DepositOrder): Purpose {
  return {
    title: `Deposit ${order.amount} ${order.asset.symbol}`,
    lines: [
      { label: "Amount", value: `${order.amount} ${order.asset.symbol}` },
      { label: "From", value: `Your wallet ${order.signer.address}` },
      { label: "To the exchange's vault", value: order.deployment.vault },
      { label: "Credited to", value: order.account },
    ],
  };
}

function allowancePurpose(order: DepositOrder): Purpose {
  return {
    title: `Let the vault take ${order.amount} ${order.asset.symbol}`,
    lines: [
      { label: "Amount, at most", value: `${order.amount} ${order.asset.symbol}` },
      { label: "Who may take it", value: `The exchange's vault ${order.deployment.vault}` },
      { label: "Token", value: order.asset.token },
    ],
  };
}

const USUAL_DEPOSIT_GAS = 200_000n;

/** The chain's coin to keep back for the network fee of a deposit: twice what it costs now. */
export async function feeReserve(client: PublicClient, deployment: Deployment, account: Address): Promise<bigint> {
  const data = encodeFunctionData({ abi: VAULT_ABI, functionName: "depositNative", args: [account] });
  const to = deployment.vault as Address;
  const [gas, fees] = await Promise.all([
    client.estimateGas({ account, to, data, value: 1n }).catch(() => USUAL_DEPOSIT_GAS),
    client.estimateFeesPerGas(),
  ]);
  return ((gas * 5n) / 4n) * fees.maxFeePerGas * 2n;
}
