/** Who signs for the signed-in person. */

import { useCallback } from "react";

import { useSession } from "../session";
import { EmbeddedSigner } from "./embedded";
import { askProviders } from "./providers";
import { ask } from "./requests";
import type { Signer } from "./signer";
import { reloadWallets, setSigner, useWalletState, walletOf, walletState } from "./wallets";

export interface SignerAccess {
  /** Null after a reload until it is asked for, and when the wallet is another than the one signed in. */
  readonly signer: Signer | null;
  /** Finds the wallet of who is signed in, or has the person open one. Throws SignatureRefused. */
  request(): Promise<Signer>;
}

export function useSigner(): SignerAccess {
  const { me } = useSession();
  const held = useWalletState().signer;
  const owner = me?.address;
  const signer = held !== null && held.address === owner ? held : null;
  const request = useCallback(async () => {
    const found = signer ?? (owner === undefined ? null : await findSigner(owner));
    if (found === null) return ask<"start">({ kind: "start" });
    setSigner(found);
    return found;
  }, [signer, owner]);
  return { signer, request };
}

/** A wallet of this browser, or one that already shows this account to the page. */
async function findSigner(owner: string): Promise<Signer | null> {
  if (!walletState().loaded) await reloadWallets();
  const wallet = walletOf(walletState().wallets, owner);
  if (wallet !== null) return new EmbeddedSigner(wallet);
  const announced = askProviders();
  if (announced.length === 0) return null;
  const { reconnect } = await import("./injected");
  for (const each of announced) {
    const signer = await reconnect(each, owner);
    if (signer !== null) return signer;
  }
  return null;
}
