/** Whether the person has shown that the wallet's phrase is written down. Wallets of the browser keep their own. */

import { useCallback } from "react";

import { useSession } from "../session";
import { ask } from "./requests";
import { useWalletState, walletOf } from "./wallets";

export interface Backup {
  /** False until the browser's store has been read; `confirmed` is false too then. */
  readonly loaded: boolean;
  readonly confirmed: boolean;
  /** Opens the check. */
  confirm(): void;
}

export function useBackup(): Backup {
  const { me } = useSession();
  const { loaded, wallets } = useWalletState();
  const wallet = walletOf(wallets, me?.address);
  const confirm = useCallback(() => {
    if (wallet !== null) ask<"backup">({ kind: "backup", address: wallet.address }).catch(() => undefined);
  }, [wallet]);
  return { loaded, confirmed: loaded && (wallet === null || wallet.backupConfirmed), confirm };
}
