/** Locking: whoever signs is forgotten, here and at the exchange. No key is in memory at any other time either. */

import { useCallback } from "react";

import { useSession } from "../session";
import { setSigner } from "./wallets";

export function useLock(): () => Promise<void> {
  const session = useSession();
  return useCallback(async () => {
    setSigner(null);
    await session.signOut();
  }, [session]);
}
