/** Nonce and deadline of what the owner signs, by the exchange's clock: this device's may be wrong. */

import { api, type Schemas } from "../api/client";

export interface SigningTerms {
  readonly nonce: bigint;
  readonly deadlineS: number;
}

/** Throws NoAnswer, ApiProblem. */
export async function termsFromNow(withinS: number): Promise<SigningTerms> {
  const { time_ms } = await api.get<Schemas["TimeAnswer"]>("/v1/time");
  return { nonce: BigInt(time_ms), deadlineS: Math.floor(time_ms / 1_000) + withinS };
}
