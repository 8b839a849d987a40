/**
 * Locking: whoever signs is forgotten, here and at the exchange. No key is in memory at any other time either.
 * Leaving is more: what this browser trades with is ended too, while locking keeps it for who comes back.
 */

import { useCallback } from "react";

import { agentStore, type KeyEnd } from "../agent/agent-store";
import { useSession } from "../session";
import { setSigner } from "./wallets";

export function useLock(): () => Promise<void> {
  const session = useSession();
  return useCallback(async () => {
    setSigner(null);
    await session.signOut();
  }, [session]);
}

export interface Left {
  readonly key: KeyEnd;
  /** Why the exchange may still have the session; null: it has ended. */
  readonly error: unknown;
}

export function useLeave(): () => Promise<Left> {
  const session = useSession();
  return useCallback(async () => {
    const owner = session.me?.address;
    let key: KeyEnd = { kind: "none" };
    let error: unknown = null;
    setSigner(null);
    try {
      await session.signOut(async () => {
        if (owner !== undefined) key = await agentStore.end(owner);
      });
    } catch (cause) {
      error = cause;
    }
    return { key, error };
  }, [session]);
}

/** What is to be said of the key; undefined: there was none. */
export function keyEndText(key: KeyEnd): string | undefined {
  if (key.kind === "none") return undefined;
  if (key.kind !== "left") return "The key that this browser traded with is revoked.";
  const until = new Date(key.untilMs).toLocaleDateString(undefined, { dateStyle: "long" });
  return (
    "The exchange could not be told that the key this browser traded with is over: it is erased here, so that nobody " +
    `can use it, but it counts there until ${until}. Signing in here revokes it, and so do the settings of any other browser.`
  );
}
