/** The wallet of whoever is signed in, and no other: what it pays or signs counts for that account. */

import { useCallback } from "react";

import { useSession } from "../session";
import type { Signer } from "../wallet/signer";
import { useSigner } from "../wallet/use-signer";

/** The person opened another wallet than the one that the page is about. */
export class AnotherWallet extends Error {
  constructor() {
    super("This is another wallet than the one that you were signed in with. Nothing was done.");
    this.name = "AnotherWallet";
  }
}

/** Throws SignatureRefused, AnotherWallet. */
export function useOwnSigner(): () => Promise<Signer> {
  const { request } = useSigner();
  const owner = useSession().me?.address.toLowerCase();
  return useCallback(async () => {
    const signer = await request();
    if (signer.address.toLowerCase() !== owner) throw new AnotherWallet();
    return signer;
  }, [request, owner]);
}
