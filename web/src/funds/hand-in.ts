/**
 * Handing in a signed withdrawal until the exchange has taken or refused it. The same signature is one
 * withdrawal however often it is handed in, so no answer means: look it up, and hand the same in again.
 */

import { ApiProblem, NoAnswer, type Schemas } from "../api/client";

type Withdrawal = Schemas["WithdrawalItem"];

export interface Exchange {
  post(request: Record<string, unknown>): Promise<Withdrawal>;
  /** Throws ApiProblem, NoAnswer. */
  get(id: string): Promise<Withdrawal>;
  sleep(ms: number): Promise<void>;
  nowMs(): number;
}

/** It may have been taken or not. It must not be signed a second time. */
export class NotKnownYet extends Error {
  constructor(readonly id: string) {
    super("The exchange has not answered. It may have taken your withdrawal.");
    this.name = "NotKnownYet";
  }
}

const TRY_FOR_MS = 60_000;
const PAUSE_MS = 1_000;

/** Throws ApiProblem when it was refused, NotKnownYet, NoAnswer when the exchange can not have taken it. */
export async function handIn(exchange: Exchange, request: Record<string, unknown>, id: string): Promise<Withdrawal> {
  const untilMs = exchange.nowMs() + TRY_FOR_MS;
  let mayBeTaken = false;
  for (;;) {
    try {
      return await exchange.post(request);
    } catch (error) {
      if (isUnanswered(error)) mayBeTaken = true;
      else if (!isLater(error) && !mayBeTaken) throw error;
      const found = await lookUp(exchange, id);
      if (found !== null) return found;
      if (exchange.nowMs() >= untilMs) {
        if (mayBeTaken) throw new NotKnownYet(id);
        throw error;
      }
    }
    await exchange.sleep(PAUSE_MS);
  }
}

/** The withdrawal as it is now; null where it is not there, or can not be asked for. */
export async function lookUp(exchange: Pick<Exchange, "get">, id: string): Promise<Withdrawal | null> {
  try {
    return await exchange.get(id);
  } catch {
    return null;
  }
}

function isUnanswered(error: unknown): boolean {
  if (error instanceof NoAnswer) return true;
  return error instanceof ApiProblem && (error.code === "outcome_unknown" || error.code === "withdrawal_replayed");
}

/** Not taken in, and worth another try. */
function isLater(error: unknown): boolean {
  return error instanceof ApiProblem && (error.status === 429 || error.status >= 500);
}
