/** The whole check, from the exchange's answers to a verdict with every step of it. */

import type { Address, PublicClient } from "viem";

import { api, type Schemas } from "../../api/client";
import { checkChain, type Finding, Unchecked } from "./proof-chain";
import { checkAsked, type CheckedTree, checkTree, type ProofAsset, shortOf } from "./proof-tree";
import { FORMAT, member, Wrong } from "./proof-values";

export type Proof = Schemas["BalanceProofAnswer"];

export interface Verdict {
  word: "RIGHT" | "RIGHT, AS FAR AS IT GOES" | "WRONG" | "SHORT" | "NOT CHECKED";
  why: string | null;
  tree: CheckedTree | null;
  findings: Finding[];
  short: ProofAsset[];
  proof: Proof;
}

export interface Asked {
  owner: string;
  vault: string | null;
  /** The contract of roots, from a source other than the exchange; null: the exchange's word. */
  contract: Address | null;
  number: number | null;
  client: PublicClient | null;
  nowS: number;
}

/** The newest proof that has the account in it, or the one with this number. Throws ApiProblem, NoAnswer. */
export function fetchProof(number: number | null): Promise<Proof> {
  return api.get<Proof>("/v1/proof/balance", { number });
}

export async function checkProof(proof: Proof, asked: Asked): Promise<Verdict> {
  const verdict: Verdict = { word: "NOT CHECKED", why: null, tree: null, findings: [], short: [], proof };
  try {
    if (member(proof, "format") !== FORMAT) throw new Unchecked(`this is no proof in the format ${FORMAT}`);
    checkAsked(proof, { owner: asked.owner, subAccount: 0, vault: asked.vault, number: asked.number });
    verdict.tree = checkTree(proof);
    if (asked.client === null) {
      verdict.findings = [{ text: "Names and decimals of the tokens are the exchange's own word.", careful: true }];
    } else {
      verdict.findings = await checkChain(proof, verdict.tree.assets, asked.client, asked.contract, asked.nowS);
    }
    verdict.short = shortOf(verdict.tree.assets);
    verdict.word = verdict.short.length > 0 ? "SHORT" : asked.client === null ? "RIGHT, AS FAR AS IT GOES" : "RIGHT";
  } catch (error) {
    if (!(error instanceof Wrong || error instanceof Unchecked)) throw error;
    verdict.word = error instanceof Wrong ? "WRONG" : "NOT CHECKED";
    verdict.why = error.message;
  }
  return verdict;
}
