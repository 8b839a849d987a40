/**
 * The proof by itself: own leaf, way up, root. Pure; the same as scripts/verify_balance.py, which is the reference,
 * and docs/proofs.md, which is the specification.
 */

import { bytesToHex, concatBytes, type Hex, keccak256, numberToBytes, stringToBytes } from "viem";

import { fromUnits, grouped } from "../../numbers";
import { atoms, hexed, listed, MAX_SUM, member, text, whole, Wrong } from "./proof-values";

const MAX_DEPTH = 64;
const NATIVE: Hex = "0x0000000000000000000000000000000000000000";

/** One asset of the root. */
export interface ProofAsset {
  symbol: string;
  token: Hex;
  decimals: number;
  depth: number;
  treeHash: Hex;
  total: bigint;
  uncredited: bigint;
  unsettled: bigint;
  /** What the vault must have held, by the proof. */
  inVault: bigint;
}

/** One step of the way up: what was put together, and what came of it. */
export interface Climbed {
  side: "left" | "right";
  sibling: Hex;
  siblingSum: bigint;
  hash: Hex;
  sum: bigint;
}

export interface CheckedLeaf {
  asset: ProofAsset;
  amount: bigint;
  salt: Hex;
  leaf: Hex;
  path: Climbed[];
}

export interface CheckedTree {
  /** `owner/sub-account`, as it is hashed. */
  account: string;
  assets: ProofAsset[];
  leaves: CheckedLeaf[];
  root: Hex;
}

function keccak(...parts: Uint8Array[]): Uint8Array {
  return keccak256(concatBytes(parts), "bytes");
}

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);
const ROOT = Uint8Array.of(2);

function u256(value: bigint | number): Uint8Array {
  return numberToBytes(value, { size: 32 });
}

function i256(value: bigint): Uint8Array {
  return u256(BigInt.asUintN(256, value));
}

/** By ascending token, each once: else there could be two trees of one asset. Throws Wrong. */
export function readAssets(proof: unknown): ProofAsset[] {
  const assets = listed(proof, "assets").map((entry): ProofAsset => {
    const total = atoms(entry, "total_atoms");
    const uncredited = atoms(entry, "uncredited_atoms", true);
    const unsettled = atoms(entry, "unsettled_atoms", true);
    return {
      symbol: text(entry, "asset"),
      token: bytesToHex(hexed(entry, "token", 20)),
      decimals: whole(entry, "decimals", 77),
      depth: whole(entry, "depth", MAX_DEPTH),
      treeHash: bytesToHex(hexed(entry, "tree_hash", 32)),
      total,
      uncredited,
      unsettled,
      inVault: total + uncredited - unsettled,
    };
  });
  if (assets.some((asset) => asset.inVault < 0n)) throw new Wrong("by the proof the vault held less than nothing");
  const tokens = assets.map((asset) => asset.token);
  if (tokens.some((token, index) => index > 0 && token <= (tokens[index - 1] ?? ""))) {
    throw new Wrong("the assets are not in ascending order, each once");
  }
  return assets;
}

/** The hash of everything that the root binds. */
export function rootOf(proof: unknown, assets: ProofAsset[]): Hex {
  const parts = [
    ROOT,
    hexed(proof, "genesis_id", 32),
    u256(whole(proof, "chain_id")),
    hexed(proof, "vault", 20),
    u256(whole(proof, "seq")),
    u256(whole(proof, "block_number")),
    hexed(proof, "block_hash", 32),
    u256(assets.length),
  ];
  listed(proof, "assets").forEach((entry, index) => {
    const asset = assets[index];
    if (asset === undefined) throw new Wrong("the assets changed while they were read");
    parts.push(hexed(entry, "token", 20), u256(asset.decimals), u256(asset.depth), hexed(entry, "tree_hash", 32));
    parts.push(u256(asset.total), i256(asset.uncredited), i256(asset.unsettled));
  });
  return bytesToHex(keccak(...parts));
}

/** The leaf, with its way to the asset's tree and total. Throws Wrong. */
function climb(leaf: unknown, asset: ProofAsset, account: string): CheckedLeaf {
  const amount = atoms(leaf, "amount_atoms");
  const salt = hexed(leaf, "salt", 32);
  let hash = keccak(LEAF, hexed(leaf, "token", 20), salt, u256(amount), stringToBytes(account));
  let sum = amount;
  const checked: CheckedLeaf = { asset, amount, salt: bytesToHex(salt), leaf: bytesToHex(hash), path: [] };
  const path = listed(leaf, "path");
  if (path.length !== asset.depth) {
    throw new Wrong(`${asset.symbol}: the way to the root has ${path.length} steps instead of ${asset.depth}`);
  }
  for (const step of path) {
    const sibling = hexed(step, "hash", 32);
    const siblingSum = atoms(step, "sum_atoms");
    const side = member(step, "side");
    if (side !== "left" && side !== "right") throw new Wrong(`${asset.symbol}: a sibling is neither left nor right`);
    const here = [hash, u256(sum)];
    const there = [sibling, u256(siblingSum)];
    hash = keccak(NODE, ...(side === "left" ? [...there, ...here] : [...here, ...there]));
    sum += siblingSum;
    if (sum > MAX_SUM) throw new Wrong(`${asset.symbol}: the sums run over 2^128`);
    checked.path.push({ side, sibling: bytesToHex(sibling), siblingSum, hash: bytesToHex(hash), sum });
  }
  if (sum !== asset.total) {
    throw new Wrong(`${asset.symbol}: the sums lead to a total of ${sum} atoms, the root says ${asset.total}`);
  }
  if (bytesToHex(hash) !== asset.treeHash) throw new Wrong(`${asset.symbol}: your balance does not lead to the root`);
  return checked;
}

/** The leaves lead to the root, and it binds everything else. Throws Wrong. */
export function checkTree(proof: unknown): CheckedTree {
  const assets = readAssets(proof);
  const owner = bytesToHex(hexed(proof, "owner", 20));
  const account = `${owner}/${whole(proof, "sub_account", 127)}`;
  const leaves: CheckedLeaf[] = [];
  for (const leaf of listed(proof, "leaves")) {
    const token = bytesToHex(hexed(leaf, "token", 20));
    const asset = assets.find((each) => each.token === token);
    if (asset === undefined || leaves.some((each) => each.asset === asset)) {
      throw new Wrong("a leaf is of no asset of the root, or an asset has two");
    }
    leaves.push(climb(leaf, asset, account));
  }
  if (leaves.length === 0) throw new Wrong("there is no balance in it");
  const root = rootOf(proof, assets);
  if (root !== bytesToHex(hexed(proof, "root", 32))) throw new Wrong(`these values have another root: ${root}`);
  return { account, assets, leaves, root };
}

/** It is about what was asked for. Throws Wrong. */
export function checkAsked(proof: unknown, asked: { owner: string; subAccount: number; vault: string | null; number: number | null }): void {
  const owner = bytesToHex(hexed(proof, "owner", 20));
  if (owner !== asked.owner.toLowerCase()) throw new Wrong(`the proof is about another owner, ${owner}`);
  const vault = bytesToHex(hexed(proof, "vault", 20));
  if (asked.vault !== null && vault !== asked.vault.toLowerCase()) throw new Wrong(`the proof is about another vault, ${vault}`);
  const subAccount = whole(proof, "sub_account", 127);
  if (subAccount !== asked.subAccount) throw new Wrong(`the proof is about sub-account ${subAccount}`);
  const number = whole(proof, "number");
  if (asked.number !== null && number !== asked.number) throw new Wrong(`this is proof ${number} instead of ${asked.number}`);
}

/**
 * The assets of which the vault held less than what is owed, by more than so many hundredths of a percent.
 * `uncredited` and `unsettled` may explain any difference, so no explanation counts.
 */
export function shortOf(assets: readonly ProofAsset[], toleranceBps: bigint = 100n): ProofAsset[] {
  return assets.filter((asset) => (asset.total - asset.inVault) * 10_000n > toleranceBps * asset.total);
}

/** Atoms for people. */
export function shown(asset: ProofAsset, number: bigint): string {
  return `${grouped(fromUnits(number, asset.decimals))} ${asset.symbol}`;
}

/** Which token it is, as nobody can forge it. */
export function tokenName(asset: ProofAsset): string {
  return asset.token === NATIVE ? "the chain's own coin" : `token ${asset.token}`;
}
