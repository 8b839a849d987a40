/** What went wrong, in words for the person. */

import { ApiProblem, NoAnswer } from "../api/client";
import { VaultError } from "../vault/errors";

export function messageOf(error: unknown): string {
  if (error instanceof ApiProblem) return error.detail;
  if (error instanceof NoAnswer || error instanceof VaultError) return error.message;
  return error instanceof Error && error.message !== "" ? error.message : "Something went wrong. Try again";
}
