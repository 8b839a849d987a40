/** What of a deposit or a withdrawal is still there when the page is loaded again. */

import { type Hex, type PublicClient, TransactionNotFoundError, TransactionReceiptNotFoundError } from "viem";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { recallDeposit } from "./deposit-runs";
import { type Keeping, type Run, Runs, texts } from "./runs";
import { wordOfTheChain } from "./sent-deposit";
import { recallWithdrawal } from "./withdrawal-runs";

const HASH: Hex = `0x${"ab".repeat(32)}`;

interface Errand extends Run {
  what: string;
}

const ERRANDS: Keeping<Errand> = {
  name: "errands",
  isKept: (run) => run.what !== "over",
  recall: (kept) => texts(kept, "owner", "what"),
};

describe("runs", () => {
  const kept = new Map<string, string>();
  beforeEach(() => {
    vi.stubGlobal("sessionStorage", {
      getItem: (name: string) => kept.get(name) ?? null,
      setItem: (name: string, value: string) => kept.set(name, value),
      removeItem: (name: string) => kept.delete(name),
    });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    kept.clear();
  });

  it("are there again after a reload, as long as they are kept", () => {
    const runs = new Runs(ERRANDS);
    const bread = runs.add({ owner: "me", what: "bread" });
    const milk = runs.add({ owner: "me", what: "milk" });
    expect(new Runs(ERRANDS).list().map((run) => run.what)).toEqual(["milk", "bread"]);
    runs.change(bread, { what: "over" });
    const again = new Runs(ERRANDS);
    expect(again.list()).toEqual([{ id: 1, owner: "me", what: "milk" }]);
    expect(again.add({ owner: "me", what: "salt" })).toBe(2);
    runs.forget(milk);
    expect(kept.size).toBe(0);
  });

  it("tell whoever listens", () => {
    const runs = new Runs(ERRANDS);
    const told = vi.fn();
    const stop = runs.listen(told);
    runs.add({ owner: "me", what: "bread" });
    stop();
    runs.add({ owner: "me", what: "milk" });
    expect(told).toHaveBeenCalledTimes(1);
  });

  it("begin with nothing where what was kept makes no sense", () => {
    for (const text of ["{", "{}", "null", '[1, "a", null, [], {"owner": "me", "what": 1}]']) {
      kept.set("errands", text);
      expect(new Runs(ERRANDS).list(), text).toEqual([]);
    }
  });

  it("go on in a browser that keeps nothing", () => {
    const refuse = (): never => {
      throw new Error("no storage");
    };
    vi.stubGlobal("sessionStorage", { getItem: refuse, setItem: refuse, removeItem: refuse });
    const runs = new Runs(ERRANDS);
    runs.add({ owner: "me", what: "bread" });
    expect(runs.list()).toHaveLength(1);
  });
});

describe("what is recalled", () => {
  it("of a deposit is that it was sent", () => {
    const kept = { owner: "0x1", asset: "ETH", amount: "2", txHash: HASH, startedMs: 5, allowance: "approve", allowanceHash: HASH, stage: "mined" };
    expect(recallDeposit(kept)).toMatchObject({ stage: "recalled", txHash: HASH, allowance: "approve", isListed: false });
    expect(recallDeposit({ ...kept, allowance: "other", allowanceHash: 1 })).toMatchObject({ allowance: null, allowanceHash: null });
    for (const wrong of [{ txHash: "0x1" }, { txHash: null }, { startedMs: "5" }, { amount: 2 }]) {
      expect(recallDeposit({ ...kept, ...wrong }), JSON.stringify(wrong)).toBeNull();
    }
  });

  it("of a withdrawal is what was signed, not whether it was taken", () => {
    const kept = { owner: "0x1", asset: "ETH", amount: "2", withdrawalId: HASH, request: { amount: "2" }, stage: "handing-in", isLooking: true };
    expect(recallWithdrawal(kept)).toMatchObject({ stage: "unknown", isLooking: false, request: { amount: "2" }, taken: null });
    for (const wrong of [{ withdrawalId: "0x1" }, { request: null }, { request: "2" }, { owner: null }]) {
      expect(recallWithdrawal({ ...kept, ...wrong }), JSON.stringify(wrong)).toBeNull();
    }
  });
});

describe("the chain's word of a deposit that was sent", () => {
  function client(status: "success" | "reverted" | null, isWaiting: boolean): PublicClient {
    return {
      async getTransactionReceipt() {
        if (status === null) throw new TransactionReceiptNotFoundError({ hash: HASH });
        return { status };
      },
      async getTransaction() {
        if (!isWaiting) throw new TransactionNotFoundError({ hash: HASH });
        return {};
      },
    } as unknown as PublicClient;
  }

  it("is that it is in a block, failed there, waits for one, or is not known", async () => {
    expect(await wordOfTheChain(client("success", true), HASH)).toMatchObject({ stage: "mined" });
    expect(await wordOfTheChain(client("reverted", true), HASH)).toMatchObject({ stage: "failed", failure: expect.stringMatching(/failed on the chain/) });
    expect(await wordOfTheChain(client(null, true), HASH)).toMatchObject({ stage: "sent" });
    expect(await wordOfTheChain(client(null, false), HASH)).toMatchObject({ stage: "unheard" });
  });

  it("is nothing when the node does not answer", async () => {
    const silent = { getTransactionReceipt: () => Promise.reject(new Error("timeout")) } as unknown as PublicClient;
    await expect(wordOfTheChain(silent, HASH)).rejects.toThrow("timeout");
  });
});
