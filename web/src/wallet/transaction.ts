/** What a transaction will cost at most, asked of the chain before it is signed; and sending it. */

import { type Address, BaseError, type Hex, keccak256, type PublicClient, TransactionNotFoundError } from "viem";
import type { PrivateKeyAccount } from "viem/accounts";

import { divCeil, fromUnits } from "../numbers";
import type { Transaction } from "./signer";

export interface TransactionCost {
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
  readonly nonce: number;
  /** gas x fee: what is paid is at most this. */
  readonly feeWei: bigint;
  readonly balanceWei: bigint;
}

/** The node refuses it, or cannot say what it costs. The message can be shown. */
export class TransactionFails extends Error {
  constructor(cause: unknown) {
    super(reasonOf(cause), { cause });
    this.name = "TransactionFails";
  }
}

/** What was measured may be a little more when it is mined. */
const MARGIN_PERCENT = 20n;
const WEI_PER_GWEI = 1_000_000_000n;

/** Throws TransactionFails. */
export async function costOf(client: PublicClient, from: Address, transaction: Transaction): Promise<TransactionCost> {
  try {
    const [gas, fees, nonce, balanceWei] = await Promise.all([
      client.estimateGas({ account: from, ...transaction }),
      client.estimateFeesPerGas(),
      client.getTransactionCount({ address: from, blockTag: "pending" }),
      client.getBalance({ address: from }),
    ]);
    const limit = gas + divCeil(gas * MARGIN_PERCENT, 100n);
    const { maxFeePerGas, maxPriorityFeePerGas } = fees;
    return { gas: limit, maxFeePerGas, maxPriorityFeePerGas, nonce, feeWei: limit * maxFeePerGas, balanceWei };
  } catch (error) {
    throw new TransactionFails(error);
  }
}

/** Whether the wallet has enough for value and fee. */
export function isAffordable(transaction: Transaction, cost: TransactionCost): boolean {
  return (transaction.value ?? 0n) + cost.feeWei <= cost.balanceWei;
}

/**
 * The hash, once the node took it, and also when nobody can say whether it did: then it may be on its way, and a second
 * one would pay twice. Throws TransactionFails when the node refused it.
 */
export async function signAndSend(
  client: PublicClient,
  account: PrivateKeyAccount,
  transaction: Transaction,
  cost: TransactionCost,
): Promise<Hex> {
  const { gas, maxFeePerGas, maxPriorityFeePerGas, nonce } = cost;
  const chainId = await client.getChainId();
  if (chainId !== client.chain?.id) throw new TransactionFails(new Error("The node is on another chain"));
  const envelope = { type: "eip1559", chainId, nonce, gas, maxFeePerGas, maxPriorityFeePerGas } as const;
  const serializedTransaction = await account.signTransaction({ ...envelope, ...transaction });
  const hash = keccak256(serializedTransaction);
  try {
    await client.sendRawTransaction({ serializedTransaction });
  } catch (error) {
    if (isRefusal(error) && !(await isKnown(client, hash))) throw new TransactionFails(error);
  }
  return hash;
}

/** The node answered, and not that it has this one already. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof BaseError)) return false;
  const answer = error.walk((each) => (each as Error).name === "RpcRequestError");
  return answer !== null && !/already (known|imported)/i.test(answer.message);
}

/** An earlier try may have arrived although its answer did not. */
async function isKnown(client: PublicClient, hash: Hex): Promise<boolean> {
  try {
    await client.getTransaction({ hash });
    return true;
  } catch (error) {
    return !(error instanceof TransactionNotFoundError); // not known to be unknown
  }
}

/** A fee for reading: whole gwei, rounded up. */
export function feeText(wei: bigint): string {
  return `${fromUnits(divCeil(wei, WEI_PER_GWEI), 9)} ETH`;
}

function reasonOf(cause: unknown): string {
  if (cause instanceof BaseError) {
    if (cause.walk((each) => (each as Error).name === "InsufficientFundsError") !== null) {
      return "The wallet has not enough ETH for this and its network fee";
    }
    return cause.shortMessage;
  }
  return cause instanceof Error ? cause.message : "The chain can not be reached";
}
