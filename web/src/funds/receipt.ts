/** What became of a transaction that was sent. A wallet may put another one in its place: then this one never happens. */

import type { Hex, PublicClient, TransactionReceipt } from "viem";

/** It was cancelled, or changed into something else, in the wallet that had sent it. */
export class Replaced extends Error {
  constructor() {
    super("Your wallet has sent another transaction in place of this one: nothing of this one was done.");
    this.name = "Replaced";
  }
}

/** Waits for its block, however long. One that was only sped up, for a higher fee, is the same one. Throws Replaced. */
export async function receiptOf(client: PublicClient, hash: Hex): Promise<TransactionReceipt> {
  let isAnother = false;
  const receipt = await client.waitForTransactionReceipt({
    hash,
    timeout: 0,
    onReplaced: ({ reason }) => (isAnother = reason !== "repriced"),
  });
  if (isAnother) throw new Replaced();
  return receipt;
}
