import { describe, expect, it } from "vitest";

import { lessFee, readAmount, shortened } from "./amount";
import { type Deposit, depositSteps, type DepositRun, sentence, type Step, timeOf, type Withdrawal, withdrawalSteps } from "./steps";

const HASH = `0x${"ab".repeat(32)}`;

function deposit(part: Partial<Deposit> = {}): Deposit {
  return {
    number: "1",
    asset: "ETH",
    amount: "1",
    status: "pending",
    confirmations: 1,
    required_confirmations: 3,
    tx_hash: HASH,
    log_index: 0,
    block_number: 120,
    time_ms: 1,
    ...part,
  };
}

function run(part: Partial<DepositRun> = {}): DepositRun {
  return { id: 1, owner: "0x1", asset: "USDC", amount: "2500", startedMs: 0, allowance: null, stage: "checking", allowanceHash: null, txHash: null, failure: null, endedIn: null, isListed: false, ...part };
}

function withdrawal(part: Partial<Withdrawal> = {}): Withdrawal {
  return {
    withdrawal_id: HASH,
    asset: "ETH",
    amount: "1",
    fee: "0",
    destination: "0x",
    nonce: "1",
    deadline_s: 4_000_000_000,
    status: "requested",
    reason: null,
    outcome: null,
    tx_hash: null,
    requested_ms: 1,
    updated_ms: 1,
    ...part,
  };
}

const brief = (steps: Step[]): string => steps.map((step) => `${step.id} ${step.state}`).join(", ");
const of = (part: Partial<Withdrawal>, have: number | null = null, halted = false): Step[] =>
  withdrawalSteps(withdrawal(part), { have, required: 3 }, halted);

describe("the steps of a deposit", () => {
  it("begin in the wallet", () => {
    expect(brief(depositSteps(run({ stage: "wallet" }), null))).toBe("wallet now, seen later, confirmed later, credited later");
  });

  it("have the leave to take a token first, signed or sent", () => {
    const permit = depositSteps(run({ allowance: "permit", stage: "allowing" }), null);
    expect(brief(permit)).toBe("allowance now, wallet later, seen later, confirmed later, credited later");
    expect(permit[0]?.title).toBe("Let the vault take 2,500 USDC");
    const approved = depositSteps(run({ allowance: "approve", stage: "allowance-block", allowanceHash: HASH }), null);
    expect(approved[0]).toMatchObject({ state: "now", txHash: HASH });
    expect(brief(depositSteps(run({ allowance: "permit", stage: "wallet" }), null))).toMatch(/^allowance done, wallet now/);
  });

  it("wait for a block once it is sent, and show its hash", () => {
    const steps = depositSteps(run({ stage: "sent", txHash: HASH }), null);
    expect(brief(steps)).toBe("wallet done, seen now, confirmed later, credited later");
    expect(steps[1]?.txHash).toBe(HASH);
  });

  it("count confirmations, never beyond what is needed", () => {
    const steps = depositSteps(null, deposit({ confirmations: 2 }));
    expect(brief(steps)).toBe("wallet done, seen done, confirmed now, credited later");
    expect(steps[2]?.title).toBe("2 of 3 confirmations");
    expect(depositSteps(null, deposit({ confirmations: 9 }))[2]?.title).toBe("3 of 3 confirmations");
    expect(depositSteps(null, deposit({ required_confirmations: null }))[2]?.title).toBe("Waits until the chain calls it final");
  });

  it("end with the credit, whatever this page believed before", () => {
    expect(brief(depositSteps(run({ stage: "failed", txHash: HASH }), deposit({ status: "credited" })))).toBe(
      "wallet done, seen done, confirmed done, credited done",
    );
  });

  it("say that nothing was deposited when the person did not confirm", () => {
    const steps = depositSteps(run({ stage: "cancelled", endedIn: "wallet" }), null);
    expect(brief(steps)).toBe("wallet failed, seen skipped, confirmed skipped, credited skipped");
    expect(steps[0]?.detail).toMatch(/Nothing was deposited/);
  });

  it("say at which of two signatures the person did not go on", () => {
    const first = depositSteps(run({ stage: "cancelled", endedIn: "allowing", allowance: "permit" }), null);
    expect(brief(first)).toBe("allowance failed, wallet skipped, seen skipped, confirmed skipped, credited skipped");
    const second = depositSteps(run({ stage: "cancelled", endedIn: "wallet", allowance: "permit" }), null);
    expect(brief(second)).toBe("allowance done, wallet failed, seen skipped, confirmed skipped, credited skipped");
    const early = depositSteps(run({ stage: "failed", endedIn: "checking", failure: "Too little." }), null);
    expect(early[0]).toMatchObject({ id: "wallet", state: "failed", detail: "Too little." });
  });

  it("say after a reload no more than is known", () => {
    const seen = (stage: DepositRun["stage"]) => depositSteps(run({ stage, txHash: HASH }), null)[1];
    expect(seen("recalled")).toMatchObject({ state: "now", txHash: HASH });
    expect(seen("recalled")?.detail).toMatch(/not known here yet/);
    expect(seen("unheard")?.detail).toMatch(/does not know of it now/);
    expect(seen("sent")?.detail).toBe("Sent. It waits for a block.");
  });

  it("say on the chain what failed on the chain", () => {
    const steps = depositSteps(run({ stage: "failed", txHash: HASH, failure: "It failed." }), null);
    expect(steps[1]).toMatchObject({ id: "seen", state: "failed", detail: "It failed.", txHash: HASH });
  });
});

describe("the steps of a withdrawal", () => {
  it("go on one by one, each with what it waits for", () => {
    expect(brief(of({}))).toBe("requested done, approved now, signed later, broadcast later, mined later, settled later");
    expect(brief(of({ status: "approved" }))).toMatch(/approved done, signed now/);
    expect(brief(of({ status: "signed" }))).toMatch(/signed done, broadcast now/);
    const sent = of({ status: "broadcast", tx_hash: HASH });
    expect(brief(sent)).toMatch(/broadcast done, mined now/);
    expect(sent.find((step) => step.id === "broadcast")?.txHash).toBe(HASH);
    expect(of({ status: "mined" }, 2).at(-1)).toMatchObject({ state: "now", detail: "2 of 3 confirmations" });
    expect(of({ status: "mined" }).at(-1)?.detail).toBe("It waits for 3 confirmations.");
    expect(of({ status: "settled", outcome: "paid" }).every((step) => step.state === "done")).toBe(true);
  });

  it("have a person's look where there is one, with the reason and what happens if nobody decides", () => {
    const steps = of({ status: "review", reason: "amount is reviewed by hand" });
    expect(brief(steps)).toMatch(/^requested done, review now, approved later/);
    expect(steps[1]?.detail).toMatch(/^Amount is reviewed by hand\. If nobody decides until .*, the whole amount comes back\.$/);
  });

  it("tell a limit's room that it waits for", () => {
    expect(of({ reason: "daily limit of the asset" })[1]?.detail).toBe("It waits: daily limit of the asset.");
  });

  it("tell that payments stand still", () => {
    expect(of({ status: "approved" }, null, true)[2]?.detail).toMatch(/^Payments stand still now/);
  });

  it("tell a rejection and that the amount comes back", () => {
    const steps = of({ status: "rejected", reason: "not you" });
    expect(brief(steps)).toBe("requested done, rejected failed, refunded now");
    expect(steps[1]?.detail).toBe("Not you. It will not be paid.");
  });

  it("tell a refund", () => {
    expect(brief(of({ status: "refunded" }))).toBe("requested done, unpaid failed, refunded done");
    const rejected = of({ status: "refunded", reason: "call us first" });
    expect(brief(rejected)).toBe("requested done, rejected failed, refunded done");
    expect(rejected[1]?.detail).toBe("Call us first.");
  });

  it("tell what could not be delivered, and waits to be claimed", () => {
    const undelivered = withdrawal({ status: "settled", outcome: "claimable" });
    const last = (isClaimed: boolean) => withdrawalSteps(undelivered, { have: null, required: 3 }, false, isClaimed).at(-1);
    expect(last(false)).toMatchObject({ title: "Kept for you in the vault", state: "now" });
    expect(last(true)).toMatchObject({ title: "Claimed from the vault", state: "done" });
  });
});

describe("words", () => {
  it("make a sentence of a reason", () => {
    expect(sentence("too large")).toBe("Too large.");
    expect(sentence("Wait!")).toBe("Wait!");
  });

  it("name the day only when it is another one", () => {
    const now = new Date(2026, 10, 29, 12).getTime();
    expect(timeOf(now / 1_000, now)).not.toMatch(/29/);
    expect(timeOf(now / 1_000 - 86_400, now)).toMatch(/28/);
  });
});

describe("an amount as it is typed", () => {
  it("is read exactly, or not at all", () => {
    expect(readAmount("2.50", 6, "USDC")).toEqual({ atoms: 2_500_000n, text: "2.5" });
    expect(readAmount(".5", 6, "USDC")).toEqual({ atoms: 500_000n, text: "0.5" });
    expect(readAmount("7.", 6, "USDC")).toEqual({ atoms: 7_000_000n, text: "7" });
    expect(readAmount(" ", 6, "USDC")).toEqual({ problem: null });
    for (const bad of ["0", "0.0000001", "1e3", "-1", "1,5", "."]) expect(readAmount(bad, 6, "USDC"), bad).toHaveProperty("problem");
  });

  it("of a fee is shown by two digits, rounded up", () => {
    expect(shortened(123_456n)).toBe(130_000n);
    expect(shortened(130_000n)).toBe(130_000n);
    expect(shortened(7n)).toBe(7n);
  });

  it("leaves room for the fee, and never goes below nothing", () => {
    expect(lessFee(10n, 3n)).toBe(7n);
    expect(lessFee(3n, 3n)).toBe(0n);
    expect(lessFee(1n, 3n)).toBe(0n);
  });
});
