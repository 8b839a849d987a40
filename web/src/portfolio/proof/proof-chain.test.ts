/** What the chain says, told by a node that is made up here: each answer can be another one. */

import type { PublicClient } from "viem";
import { describe, expect, it } from "vitest";

import { type Asked, checkProof, type Proof } from "./check-proof";
import { percent } from "./proof-chain";
import { checkTree } from "./proof-tree";
import read from "./proof-vectors.json";

const proof = read.right as unknown as Proof;
const tree = checkTree(proof);
const NOW_S = 1_763_842_000;

interface Answers {
  chainId: number;
  blockHash: string;
  root: string;
  seq: bigint;
  count: bigint;
  held: (token: string) => bigint | Error;
  decimals: number;
  symbol: string;
}

function node(part: Partial<Answers> = {}): PublicClient {
  const answers: Answers = {
    chainId: proof.chain_id,
    blockHash: proof.block_hash,
    root: proof.root,
    seq: BigInt(proof.seq),
    count: 1n,
    held: (token) => tree.assets.find((asset) => asset.token === token)?.inVault ?? 0n,
    decimals: 6,
    symbol: "USDC",
    ...part,
  };
  return {
    getChainId: async () => answers.chainId,
    getBlock: async () => ({ hash: answers.blockHash, timestamp: BigInt(NOW_S - 60) }),
    async readContract({ functionName, args }: { functionName: string; args?: readonly unknown[] }) {
      switch (functionName) {
        case "symbol":
          return answers.symbol;
        case "decimals":
          return answers.decimals;
        case "count":
          return answers.count;
        case "rootAt":
          return [answers.root, answers.seq, BigInt(proof.block_number), BigInt(NOW_S - 30)];
        default: {
          const held = answers.held(String(args?.[0]));
          if (held instanceof Error) throw held;
          return held;
        }
      }
    },
  } as unknown as PublicClient;
}

async function judged(client: PublicClient, part: Partial<Asked> = {}, of: Proof = proof) {
  const asked = { owner: proof.owner, vault: proof.vault, contract: null, number: null, nowS: NOW_S, client, ...part };
  return checkProof(of, asked);
}

describe("what the chain says of a proof", () => {
  it("is SHORT when the vault held too little of one asset, whatever explains it", async () => {
    const verdict = await judged(node());
    expect(verdict.word).toBe("SHORT");
    expect(verdict.short.map((asset) => asset.symbol)).toEqual(read.short);
    expect(verdict.findings.map((finding) => finding.text).join("\n")).toMatch(/The root is on chain 31337: contract 0x0c/);
  });

  it("makes it WRONG when the root there is another one, or about another number", async () => {
    expect((await judged(node({ root: `0x${"66".repeat(32)}` }))).why).toMatch(/another root at index 0/);
    expect((await judged(node({ seq: 1n }))).why).toMatch(/another seq or block/);
    expect((await judged(node({ count: 0n }))).why).toMatch(/no root at index 0/);
  });

  it("makes it WRONG when the block is another one, or the vault held something else", async () => {
    expect(await judged(node({ blockHash: `0x${"ee".repeat(32)}` }))).toMatchObject({ word: "WRONG" });
    const verdict = await judged(node({ held: () => 1n }));
    expect([verdict.word, verdict.why]).toEqual(["WRONG", expect.stringMatching(/the vault held 1 atoms of ETH/)]);
  });

  it("makes it WRONG when a token has other decimals, or the contract is not the one that is known", async () => {
    expect((await judged(node({ decimals: 18 }))).why).toMatch(/has 18 decimals, by the proof 6/);
    expect((await judged(node(), { contract: `0x${"ab".repeat(20)}` })).why).toMatch(/names another contract/);
  });

  it("has not checked anything on another chain, without an answer, or before the root is published", async () => {
    expect(await judged(node({ chainId: 5 }))).toMatchObject({ word: "NOT CHECKED" });
    expect(await judged(node({ held: () => new Error("no state") }))).toMatchObject({ word: "NOT CHECKED" });
    expect((await judged(node(), {}, { ...proof, publication: null })).why).toMatch(/not on the chain yet/);
  });

  it("says what is the exchange's own word, and that newer roots exist", async () => {
    const careful = async (client: PublicClient, part: Partial<Asked> = {}) =>
      (await judged(client, part)).findings.filter((finding) => finding.careful).map((finding) => finding.text);
    expect((await careful(node())).join("\n")).toMatch(/Which contract that is/);
    const known = await careful(node(), { contract: `0x${"0c".repeat(20)}` });
    expect(known.join("\n")).not.toMatch(/Which contract that is/);
    expect((await careful(node({ count: 3n }))).join("\n")).toMatch(/2 newer roots/);
    expect((await careful(node({ symbol: "FAKE" }))).join("\n")).toMatch(/calls itself FAKE/);
  });
});

it("tells a share by two decimals, cut off", () => {
  expect(percent(2n, 3n)).toBe("66.66");
  expect(percent(1n, 10_000n)).toBe("0.01");
  expect(percent(3n, 3n)).toBe("100.00");
});
