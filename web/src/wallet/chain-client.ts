/** In a file of its own, so that it is loaded only when something is asked of the chain. */

import { createPublicClient, defineChain, http, type PublicClient } from "viem";

const TIMEOUT_MS = 10_000;

export function createChainClient(rpcUrl: string, chainId: number, name: string): PublicClient {
  const chain = defineChain({
    id: chainId,
    name,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  });
  return createPublicClient({ chain, transport: http(rpcUrl, { timeout: TIMEOUT_MS, retryCount: 2 }) });
}
