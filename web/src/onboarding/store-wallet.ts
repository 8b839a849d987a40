/** Stores a new wallet, then signs in with it. */

import { useCallback } from "react";

import { toast } from "../ui/toast";
import { wipe } from "../vault/bytes";
import type { Secret } from "../vault/secret";
import type { NewMethod } from "../vault/vault";
import { messageOf } from "../wallet/words";
import { openVault, reloadWallets } from "../wallet/wallets";
import { useSignIn } from "./sign-in";
import type { StepProps } from "./steps";

export interface WalletToStore {
  secret: Secret;
  name: string;
  backupConfirmed: boolean;
  method: NewMethod;
}

/** Wipes the secret once the wallet is stored, not when storing it failed. Throws what Vault.add throws. */
export function useStoreWallet({ onStep, onDone }: StepProps): (wallet: WalletToStore) => Promise<void> {
  const signIn = useSignIn();
  return useCallback(
    async ({ secret, name, backupConfirmed, method }) => {
      const vault = await openVault();
      const opened = await vault.add(secret, { name, backupConfirmed }, method);
      wipe(secret.bytes);
      void navigator.storage?.persist?.().catch(() => false); // so that a full disk does not cost the wallet
      await reloadWallets();
      try {
        const signer = await signIn.withOpened({ name, address: opened.address }, opened);
        toast("ok", `${name} is ready`, "You are signed in with it.");
        onDone(signer);
      } catch (error) {
        toast("error", "The wallet is made, but not signed in", messageOf(error));
        onStep("unlock");
      }
    },
    [signIn, onStep, onDone],
  );
}
