import { describe, expect, it } from "vitest";

import { ApiProblem, NoAnswer, type Schemas } from "../api/client";
import { type Exchange, handIn, NotKnownYet } from "./hand-in";

const TAKEN = { withdrawal_id: "0x1", status: "requested" } as Schemas["WithdrawalItem"];

function problem(code: string, status: number): ApiProblem {
  return new ApiProblem({ code, status, detail: code, title: code, type: code, request_id: "r" } as Schemas["ProblemDocument"]);
}

/** Answers in turn; what is left over is answered by the last. An error is thrown. */
function exchange(posts: unknown[], gets: unknown[] = [problem("unknown_withdrawal", 404)]): Exchange & { posted: number } {
  let nowMs = 0;
  const next = (answers: unknown[]): Schemas["WithdrawalItem"] => {
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    if (answer instanceof Error) throw answer;
    return answer as Schemas["WithdrawalItem"];
  };
  const made = {
    posted: 0,
    async post() {
      made.posted += 1;
      return next(posts);
    },
    async get() {
      return next(gets);
    },
    async sleep(ms: number) {
      nowMs += ms;
    },
    nowMs: () => nowMs,
  };
  return made;
}

describe("handing in a signed withdrawal", () => {
  it("ends with what the exchange has taken", async () => {
    const one = exchange([TAKEN]);
    expect(await handIn(one, {}, "0x1")).toBe(TAKEN);
    expect(one.posted).toBe(1);
  });

  it("looks it up when no answer comes, and finds that it was taken", async () => {
    const one = exchange([new NoAnswer("timeout")], [TAKEN]);
    expect(await handIn(one, {}, "0x1")).toBe(TAKEN);
    expect(one.posted).toBe(1);
  });

  it("hands the same in again when it is not there", async () => {
    const one = exchange([new NoAnswer("timeout"), problem("outcome_unknown", 503), TAKEN]);
    expect(await handIn(one, {}, "0x1")).toBe(TAKEN);
    expect(one.posted).toBe(3);
  });

  it("takes a replay for what it is: it was taken before", async () => {
    const replayed = problem("withdrawal_replayed", 409);
    expect(await handIn(exchange([new NoAnswer(0), replayed], [new NoAnswer(0), new NoAnswer(0), TAKEN]), {}, "0x1")).toBe(TAKEN);
  });

  it("says at once that it was refused", async () => {
    const refused = problem("insufficient_funds", 409);
    await expect(handIn(exchange([refused]), {}, "0x1")).rejects.toBe(refused);
  });

  it("never says failed when it may have been taken", async () => {
    const late = problem("withdrawal_deadline_passed", 422);
    await expect(handIn(exchange([new NoAnswer(0), late], [new NoAnswer(0)]), {}, "0x1")).rejects.toThrow(NotKnownYet);
  });

  it("gives up on an exchange that is too busy, as nothing was done", async () => {
    const busy = problem("overloaded", 503);
    const one = exchange([busy]);
    await expect(handIn(one, {}, "0x1")).rejects.toBe(busy);
    expect(one.posted).toBeGreaterThan(10);
  });
});
