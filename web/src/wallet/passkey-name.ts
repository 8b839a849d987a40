/** What passkeys are called: by the browser they were made in, until the person says otherwise. */

import { browserName } from "../agent/approval";

export const MAX_NAME_CHARS = 40;

/** A name that none of the others has. */
export function newPasskeyName(taken: readonly string[], userAgent: string = navigator.userAgent): string {
  const name = browserName(userAgent);
  for (let number = 1; ; number += 1) {
    const tried = number === 1 ? name : `${name} (${number})`;
    if (!taken.includes(tried)) return tried;
  }
}

/** As it is kept; null when nothing is left to be seen of it. */
export function cleanName(text: string): string | null {
  const clean = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\s]+/gu, " ").trim();
  return clean === "" ? null : [...clean].slice(0, MAX_NAME_CHARS).join("");
}
