/** The key that trades for the signed-in owner from this browser, for components. */

import { useCallback, useEffect, useSyncExternalStore } from "react";

import { useSession } from "../session";
import { useSigner } from "../wallet/use-signer";
import { type AgentSnapshot, agentStore } from "./agent-store";

export type { AgentState } from "./agent-store";

/** Requests signed by the key of this browser. */
export const agent = {
  request: agentStore.request.bind(agentStore),
  nowMs: agentStore.nowMs.bind(agentStore),
  owner: agentStore.currentOwner.bind(agentStore),
};

export interface Agent extends AgentSnapshot {
  /** Makes a key and has the wallet approve it. Throws SignatureRefused, OtherWallet, ApiProblem, NoAnswer. */
  approve(): Promise<void>;
}

export function useAgent(): Agent {
  const { me, status } = useSession();
  const { request } = useSigner();
  const snapshot = useSyncExternalStore(agentStore.subscribe, agentStore.snapshot);
  const owner = status === "signed-in" ? (me?.address ?? null) : null;
  useEffect(() => {
    if (status !== "unknown") agentStore.setOwner(owner);
  }, [owner, status]);
  const approve = useCallback(async () => agentStore.approve(await request()), [request]);
  return { ...snapshot, approve };
}
