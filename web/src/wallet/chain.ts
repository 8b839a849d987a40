/** The exchange's chain, read by the browser itself through the node that the exchange names. */

import type { PublicClient } from "viem";

import { fetchDeployment } from "../api/deployment";

export const NETWORK_NAMES: Readonly<Record<number, string>> = {
  1: "Ethereum",
  10: "Optimism",
  8453: "Base",
  31337: "Local chain",
  42161: "Arbitrum One",
  11155111: "Sepolia",
};

let made: Promise<PublicClient | null> | null = null;

/** Null when the exchange names no node. Loaded when first asked for. */
export function chainClient(): Promise<PublicClient | null> {
  made ??= makeClient().catch((error: unknown) => {
    made = null;
    throw error;
  });
  return made;
}

async function makeClient(): Promise<PublicClient | null> {
  const { rpc_url, chain_id } = await fetchDeployment();
  if (rpc_url === null) return null;
  const { createChainClient } = await import("./chain-client");
  return createChainClient(rpc_url, chain_id, NETWORK_NAMES[chain_id] ?? `Chain ${chain_id}`);
}
