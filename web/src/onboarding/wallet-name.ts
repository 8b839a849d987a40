/**
 * What a new wallet is called until the person says otherwise. Password managers keep a password under the wallet's
 * name: a second one of the same name would take the first one's place.
 */

const NAME = "My wallet";

/** One that none of the others has. */
export function newWalletName(taken: readonly string[]): string {
  for (let number = 1; ; number += 1) {
    const tried = number === 1 ? NAME : `${NAME} ${number}`;
    if (!taken.includes(tried)) return tried;
  }
}
