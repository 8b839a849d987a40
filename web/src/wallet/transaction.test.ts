import { createPublicClient, custom, defineChain, keccak256, parseTransaction, type PublicClient, RpcRequestError } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { expect, test } from "vitest";

import { costOf, feeText, isAffordable, signAndSend, TransactionFails } from "./transaction";

const account = privateKeyToAccount("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");
const TO = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const COST = { gas: 25_200n, maxFeePerGas: 100n, maxPriorityFeePerGas: 1n, nonce: 3, feeWei: 2_520_000n, balanceWei: 10n ** 18n };
const chain = defineChain({
  id: 31337,
  name: "Local",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: ["http://localhost"] } },
});

type Answer = unknown | (() => unknown);

/** A node that answers as told; functions are called, and may throw. */
function node(answers: Record<string, Answer>): { client: PublicClient; sent: string[] } {
  const sent: string[] = [];
  const request = async ({ method, params }: { method: string; params?: unknown }): Promise<unknown> => {
    if (method === "eth_sendRawTransaction") sent.push((params as [string])[0]);
    const answer = { eth_chainId: "0x7a69", ...answers }[method];
    return typeof answer === "function" ? (answer as () => unknown)() : answer;
  };
  return { client: createPublicClient({ chain, transport: custom({ request }, { retryCount: 0 }) }), sent };
}

function refusing(message: string): () => never {
  return () => {
    throw new RpcRequestError({ body: {}, error: { code: -32003, message }, url: "" });
  };
}

function silent(): never {
  throw new Error("connection lost");
}

const send = (client: PublicClient): Promise<string> => signAndSend(client, account, { to: TO, value: 5n }, COST);

test("what is signed is what was shown, for this chain", async () => {
  const { client, sent } = node({ eth_sendRawTransaction: "0x00" });
  const hash = await send(client);
  expect(hash).toBe(keccak256(sent[0] as `0x${string}`));
  expect(parseTransaction(sent[0] as `0x02${string}`)).toMatchObject({
    chainId: 31337,
    gas: COST.gas,
    maxFeePerGas: COST.maxFeePerGas,
    nonce: 3,
    to: TO.toLowerCase(),
    value: 5n,
  });
});

test("what the node refuses and does not know has failed", async () => {
  const { client } = node({ eth_sendRawTransaction: refusing("nonce too low"), eth_getTransactionByHash: null });
  await expect(send(client)).rejects.toThrow(TransactionFails);
});

test("what may be on its way is not said to have failed: it would be paid twice", async () => {
  const lost = node({ eth_sendRawTransaction: silent, eth_getTransactionByHash: silent });
  expect(await send(lost.client)).toBe(keccak256(lost.sent[0] as `0x${string}`));
  const again = node({ eth_sendRawTransaction: refusing("already known"), eth_getTransactionByHash: null });
  expect(await send(again.client)).toBe(keccak256(again.sent[0] as `0x${string}`));
});

test("nothing is signed for a node on another chain", async () => {
  const { client, sent } = node({ eth_chainId: "0x1", eth_sendRawTransaction: "0x00" });
  await expect(send(client)).rejects.toThrow(TransactionFails);
  expect(sent).toEqual([]);
});

test("what it costs is asked of the chain, with a margin on gas", async () => {
  const { client } = node({
    eth_estimateGas: "0x5208",
    eth_getBlockByNumber: { baseFeePerGas: "0x64", number: "0x1", transactions: [] },
    eth_maxPriorityFeePerGas: "0x1",
    eth_getTransactionCount: "0x7",
    eth_getBalance: "0x2710",
  });
  const cost = await costOf(client, account.address, { to: TO, value: 1n });
  expect(cost).toMatchObject({ gas: 25_200n, nonce: 7, balanceWei: 10_000n });
  expect(cost.feeWei).toBe(25_200n * cost.maxFeePerGas);
  expect(isAffordable({ to: TO, value: 1n }, cost)).toBe(false);
});

test("a transaction that would fail is told before it is signed", async () => {
  const { client } = node({ eth_estimateGas: refusing("execution reverted"), eth_getBalance: "0x0" });
  await expect(costOf(client, account.address, { to: TO })).rejects.toThrow(TransactionFails);
});

test("fees are read in whole gwei, rounded up", () => {
  expect(feeText(1n)).toBe("0.000000001 ETH");
  expect(feeText(2_000_000_000n)).toBe("0.000000002 ETH");
});
