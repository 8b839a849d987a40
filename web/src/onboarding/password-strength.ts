/** How long a password should be. It is all that stands between a thief of the device and the money. */

import { MIN_PASSWORD_CHARS } from "../vault/vault";

export interface Strength {
  readonly level: "none" | "short" | "simple" | "fair" | "good";
  readonly text: string;
}

const GOOD_CHARS = 16;
const MIN_DIFFERENT = 5;

export function strengthOf(password: string): Strength {
  const length = [...password].length;
  if (length === 0) return { level: "none", text: `At least ${MIN_PASSWORD_CHARS} characters. Four unrelated words are good.` };
  if (length < MIN_PASSWORD_CHARS) {
    const missing = MIN_PASSWORD_CHARS - length;
    return { level: "short", text: `${missing} more ${missing === 1 ? "character" : "characters"}` };
  }
  if (new Set(password.toLowerCase()).size < MIN_DIFFERENT) return { level: "simple", text: "Too few different characters" };
  if (length < GOOD_CHARS) return { level: "fair", text: "Fair. Longer is better: a thief can try many." };
  return { level: "good", text: "Good length" };
}

export function isAcceptable(password: string): boolean {
  const { level } = strengthOf(password);
  return level === "fair" || level === "good";
}
