/**
 * Against the reference, scripts/verify_balance.py. The vectors are made, in the root of the repository, by
 *
 *     .venv/bin/python -m web.src.portfolio.proof.proof_vectors > web/src/portfolio/proof/proof-vectors.json
 */

import { describe, expect, it } from "vitest";

import { checkProof, type Proof } from "./check-proof";
import { checkTree, readAssets, shortOf } from "./proof-tree";
import { Wrong } from "./proof-values";
import read from "./proof-vectors.json";

type Place = (string | number)[];

interface Change {
  path: Place;
  value: unknown;
  /** What the reference says of it. */
  right: boolean;
}

const vectors = read as unknown as { right: Proof; short: string[]; changes: Change[] };

function changed(place: Place, value: unknown): unknown {
  const copy: unknown = structuredClone(vectors.right);
  let within = copy as Record<string | number, unknown>;
  for (const name of place.slice(0, -1)) within = within[name] as Record<string | number, unknown>;
  const last = place.at(-1);
  if (last !== undefined) within[last] = value;
  return copy;
}

const ASKED = { owner: vectors.right.owner, vault: vectors.right.vault, contract: null, number: null, client: null, nowS: 0 };

describe("a proof by itself", () => {
  it("is right when the reference says so, with leaf, way and root", () => {
    const tree = checkTree(vectors.right);
    expect(tree.root).toBe(vectors.right.root);
    expect(tree.account).toBe(`${vectors.right.owner.toLowerCase()}/0`);
    expect(tree.leaves.map((leaf) => [leaf.asset.symbol, leaf.amount, leaf.path.length])).toEqual([
      ["ETH", 10n ** 18n, 3],
      ["USDC", 2_500_000n, 2],
    ]);
    for (const leaf of tree.leaves) expect(leaf.path.at(-1)?.hash).toBe(leaf.asset.treeHash);
  });

  it("has more than a hundred ways to be tampered with", () => {
    expect(vectors.changes.length).toBeGreaterThan(100);
    expect(vectors.changes.filter((change) => !change.right).length).toBeGreaterThan(90);
  });

  it.each(vectors.changes.map((change) => ({ ...change, name: `${change.path.join(".")} = ${JSON.stringify(change.value).slice(0, 40)}` })))(
    "with $name is judged as the reference judges it",
    ({ path, value, right }) => {
      const judge = () => checkTree(changed(path, value));
      if (right) expect(judge).not.toThrow();
      else expect(judge).toThrow(Wrong);
    },
  );

  it("is SHORT of what the reference is short of", () => {
    expect(shortOf(readAssets(vectors.right)).map((asset) => asset.symbol)).toEqual(vectors.short);
  });
});

describe("the verdict", () => {
  it("tells more owed than held as SHORT, whatever explains it", async () => {
    const verdict = await checkProof(vectors.right, ASKED);
    expect(verdict.word).toBe(vectors.short.length > 0 ? "SHORT" : "RIGHT, AS FAR AS IT GOES");
    expect(verdict.tree?.root).toBe(vectors.right.root);
  });

  it("is WRONG for another owner, vault, number or sub-account than asked for", async () => {
    const other = `0x${"ab".repeat(20)}`;
    for (const asked of [{ owner: other }, { vault: other }, { number: 4 }]) {
      expect((await checkProof(vectors.right, { ...ASKED, ...asked })).word).toBe("WRONG");
    }
    const verdict = await checkProof(changed(["sub_account"], 1) as Proof, ASKED);
    expect([verdict.word, verdict.why]).toEqual(["WRONG", "the proof is about sub-account 1"]);
  });

  it("is WRONG when anything is tampered with, and says why", async () => {
    const verdict = await checkProof(changed(["leaves", 0, "amount_atoms"], "1000000000000000001") as Proof, ASKED);
    expect(verdict.word).toBe("WRONG");
    expect(verdict.why).toMatch(/the sums lead to a total of/);
  });

  it("is that nothing was checked for another format", async () => {
    expect((await checkProof(changed(["format"], "exchange-balance-proof-2") as Proof, ASKED)).word).toBe("NOT CHECKED");
  });
});
