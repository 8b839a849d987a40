/** The listed assets, and the wallet's own holdings of them on the chain. */

import { useQuery, type UseQueryResult } from "@tanstack/react-query";
import type { Address, PublicClient } from "viem";

import { api, type Schemas } from "../api/client";
import { chainClient } from "../wallet/chain";
import { walletBalance } from "./make-deposit";

export type Asset = Schemas["AssetItem"];

export function useAssets(): UseQueryResult<Asset[]> {
  return useQuery({
    queryKey: ["assets"],
    queryFn: async () => (await api.get<Schemas["AssetsAnswer"]>("/v1/assets")).items,
    staleTime: 5 * 60_000,
  });
}

/** The node that a wallet may use; null where the exchange names none. */
export function useChain(): UseQueryResult<PublicClient | null> {
  return useQuery({ queryKey: ["chain"], queryFn: chainClient, staleTime: Infinity });
}

/** Atoms that a wallet has of an asset on the chain; asked again and again while it is shown. */
export function useWalletBalance(asset: Asset | null, holder: string | null): UseQueryResult<bigint | null> {
  const chain = useChain().data;
  return useQuery({
    queryKey: ["private", "wallet-balance", holder, asset?.symbol],
    enabled: asset !== null && holder !== null && chain !== undefined,
    queryFn: () => (chain == null || asset === null ? null : walletBalance(chain, asset, holder as Address)),
    refetchInterval: 4_000,
    staleTime: 2_000,
  });
}
