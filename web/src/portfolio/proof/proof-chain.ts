/** What only the chain can tell: whether this very root is stored there, and what the vault held at its block. */

import { type Address, bytesToHex, type Hex, type PublicClient } from "viem";

import { ROOTS_ABI, TOKEN_ABI, VAULT_ABI } from "../../funds/vault-abi";
import { type ProofAsset, shown, tokenName } from "./proof-tree";
import { hexed, member, whole, Wrong } from "./proof-values";

/** It could not be checked. */
export class Unchecked extends Error {}

const NATIVE = "0x0000000000000000000000000000000000000000";
const LAG_S = 6 * 3_600;
const MAX_AGE_S = 48 * 3_600;
const MAX_TIME_S = 2n ** 36n;

export interface Finding {
  text: string;
  /** True: no check covers this, it is the exchange's word or a reason for doubt. */
  careful: boolean;
}

type Say = (text: string, careful?: boolean) => void;

/** Throws Wrong, Unchecked. `nowS` is this computer's clock. */
export async function checkChain(proof: unknown, assets: ProofAsset[], client: PublicClient, contract: Address | null, nowS: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  const say: Say = (text, careful = false) => findings.push({ text, careful });
  const chainId = await asked("the id of its chain", client.getChainId());
  if (chainId !== whole(proof, "chain_id")) {
    throw new Unchecked(`the proof is of chain ${whole(proof, "chain_id")}, but the node of chain ${chainId}`);
  }
  await checkTokens(assets, client, say);
  say("The node that is asked is the one that this exchange names. The script can ask one of your own choice.", true);
  const publishedS = await checkRoot(proof, client, contract, say);
  const number = BigInt(whole(proof, "block_number"));
  const block = await asked("the proof's block", client.getBlock({ blockNumber: number }));
  const hash = bytesToHex(hexed(proof, "block_hash", 32));
  if (block.hash.toLowerCase() !== hash) throw new Wrong(`the chain's block ${number} is another one than the proof's`);
  const head = await asked("the newest block", client.getBlock());
  sayAge(sane(block.timestamp), publishedS, sane(head.timestamp), nowS, say);
  await checkVault(proof, assets, client, hash, say);
  return findings;
}

/** A node's answer. What it can not answer is no fault of the proof. Throws Unchecked. */
async function asked<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    const said = error instanceof Error ? (error.message.split("\n")[0] ?? "") : "";
    throw new Unchecked(`the node does not tell ${what}: ${said.slice(0, 200)}`);
  }
}

/** Decimals are the tokens' own; from here on they are called what they call themselves. */
async function checkTokens(assets: ProofAsset[], client: PublicClient, say: Say): Promise<void> {
  for (const asset of assets) {
    const at = { address: asset.token, abi: TOKEN_ABI } as const;
    const isNative = asset.token === NATIVE;
    const name = isNative ? asset.symbol : await client.readContract({ ...at, functionName: "symbol" }).catch(() => "");
    const decimals = isNative ? 18 : await client.readContract({ ...at, functionName: "decimals" }).catch(() => null);
    if (decimals !== null && decimals !== asset.decimals) {
      throw new Wrong(`${tokenName(asset)} has ${decimals} decimals, by the proof ${asset.decimals}`);
    }
    const isPlain = /^[ -~]{1,80}$/.test(name);
    if (!isPlain || decimals === null) {
      say(`What ${asset.symbol} is, is the exchange's own word: ${tokenName(asset)} does not tell.`, true);
    } else if (name !== asset.symbol) {
      say(`What the exchange calls ${asset.symbol} calls itself ${name}: ${tokenName(asset)}.`, true);
      asset.symbol = name;
    }
  }
}

/** The root is in the contract; answers with the time of its publication. */
async function checkRoot(proof: unknown, client: PublicClient, contract: Address | null, say: Say): Promise<number> {
  const publication = member(proof, "publication");
  if (publication === null) throw new Unchecked("this root is not on the chain yet; look again later, or at an older proof");
  const index = whole(publication, "index");
  const claimed = bytesToHex(hexed(publication, "contract", 20));
  if (contract === null) {
    say("Which contract that is, is the exchange's own word: compare its address with one from elsewhere.", true);
  } else if (contract.toLowerCase() !== claimed) {
    throw new Wrong(`the proof names another contract, ${claimed}`);
  }
  const at = { address: claimed, abi: ROOTS_ABI } as const;
  const count = Number(await asked("the number of roots", client.readContract({ ...at, functionName: "count" })));
  if (count <= index) throw new Wrong(`the contract has no root at index ${index}`);
  const rootAt = (place: number) =>
    asked("a root", client.readContract({ ...at, functionName: "rootAt", args: [BigInt(place)] }));
  const [root, seq, blockNumber, publishedAt] = await rootAt(index);
  if (root.toLowerCase() !== bytesToHex(hexed(proof, "root", 32))) {
    throw new Wrong(`the contract has another root at index ${index}: ${root}`);
  }
  if (seq !== BigInt(whole(proof, "seq")) || blockNumber !== BigInt(whole(proof, "block_number"))) {
    throw new Wrong("the contract has this root with another seq or block");
  }
  say(`The root is on chain ${whole(proof, "chain_id")}: contract ${claimed}, index ${index}.`);
  const publishedS = sane(publishedAt);
  if (index > 0) say(`The one before it was stored ${span(publishedS - sane((await rootAt(index - 1))[3]))} earlier.`);
  if (index + 1 < count) {
    say(`The next one was stored ${span(sane((await rootAt(index + 1))[3]) - publishedS)} later.`);
    const newer = count - 1 - index;
    say(`The contract has ${newer === 1 ? "1 newer root" : `${newer} newer roots`}: check the newest proof to know how things are now.`, true);
  }
  return publishedS;
}

/** A time that a clock can show. Throws Unchecked. */
function sane(seconds: bigint): number {
  if (seconds > MAX_TIME_S) throw new Unchecked("a time on the chain makes no sense");
  return Number(seconds);
}

function sayAge(blockS: number, publishedS: number, headS: number, clockS: number, say: Say): void {
  const nowS = Math.max(clockS, headS);
  say(`It is about the block of ${on(blockS)}, ${span(nowS - blockS)} ago.`);
  say(`It was published on ${on(publishedS)}, ${span(nowS - publishedS)} ago.`);
  if (nowS - blockS > MAX_AGE_S) say(`It is ${span(nowS - blockS)} old, and says nothing about today.`, true);
  if (publishedS - blockS > LAG_S) {
    say(`The vault was looked at ${span(publishedS - blockS)} before the root was published; it may be empty since.`, true);
  }
  if (nowS - headS > LAG_S) say(`The node is ${span(nowS - headS)} behind, and may not know of newer roots.`, true);
}

/** The vault held at the proof's block what the proof says. */
async function checkVault(proof: unknown, assets: ProofAsset[], client: PublicClient, blockHash: Hex, say: Say): Promise<void> {
  const vault = bytesToHex(hexed(proof, "vault", 20));
  const blockNumber = BigInt(whole(proof, "block_number"));
  say(`Which vault that is, is the exchange's own word: ${vault}.`, true);
  for (const asset of assets) {
    const question = { address: vault, abi: VAULT_ABI, functionName: "accounted", args: [asset.token], blockNumber } as const;
    const held = await asked(`what the vault held at block ${blockNumber}`, client.readContract(question));
    if (held !== asset.inVault) {
      throw new Wrong(`the vault held ${held} atoms of ${asset.symbol}, by the proof ${asset.inVault}`);
    }
    const part = asset.total === 0n ? "" : `, ${percent(held, asset.total)} % of the ${shown(asset, asset.total)} owed`;
    say(`At block ${blockNumber} the vault held ${shown(asset, held)}${part}.`);
    sayDifferences(asset, say);
  }
  // The block was asked for by its number: it has to be the same block still.
  const again = await asked("the proof's block", client.getBlock({ blockNumber }));
  if (again.hash.toLowerCase() !== blockHash) throw new Unchecked("the chain changed while it was asked");
}

function sayDifferences(asset: ProofAsset, say: Say): void {
  const { uncredited, unsettled } = asset;
  const word = "Of the difference, by the exchange's word,";
  if (uncredited > 0n) say(`${word} ${shown(asset, uncredited)} more: deposits not credited yet.`);
  if (uncredited < 0n) say(`${word} ${shown(asset, -uncredited)} less: deposits that came in later blocks.`);
  if (unsettled > 0n) say(`${word} ${shown(asset, unsettled)} less: payments made and not taken off yet.`);
  if (unsettled < 0n) say(`${word} ${shown(asset, -unsettled)} more: payments made in later blocks.`);
}

/** Two decimals, cut off. */
export function percent(part: bigint, whole: bigint): string {
  const hundredths = ((part * 10_000n) / whole).toString().padStart(3, "0");
  return `${hundredths.slice(0, -2)}.${hundredths.slice(-2)}`;
}

function span(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 90) return `${Math.round(size)} seconds`;
  if (size < 5_400) return `${Math.round(size / 60)} minutes`;
  return size < MAX_AGE_S ? `${Math.round(size / 360) / 10} hours` : `${Math.round(size / 86_400)} days`;
}

function on(seconds: number): string {
  return `${new Date(seconds * 1_000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
