/** The end of every way to start: the wallet signs the exchange's text, and is the one in use from then on. */

import { useCallback } from "react";
import type { Address } from "viem";

import { useSession } from "../session";
import type { Opened } from "../vault/secret";
import { EmbeddedSigner } from "../wallet/embedded";
import type { Signer } from "../wallet/signer";
import { setSigner, walletStore } from "../wallet/wallets";

export interface SignIn {
  /** With a wallet that was just unlocked; its key is wiped after it, whatever happens. */
  withOpened(wallet: { name: string; address: Address }, opened: Opened): Promise<Signer>;
  withSigner(signer: Signer): Promise<Signer>;
}

export function useSignIn(): SignIn {
  const session = useSession();
  const withSigner = useCallback(
    async (signer: Signer) => {
      if (session.me?.address !== signer.address) await session.signIn(signer);
      setSigner(signer);
      return signer;
    },
    [session],
  );
  const withOpened = useCallback(
    async (wallet: { name: string; address: Address }, opened: Opened) => {
      const signer = new EmbeddedSigner(wallet);
      await signer.justUnlocked(opened, async () => {
        await walletStore().setActive(wallet.address);
        await session.signIn(signer); // also when signed in: it asks nothing, and renews a session that ended
      });
      setSigner(signer);
      return signer;
    },
    [session],
  );
  return { withOpened, withSigner };
}
