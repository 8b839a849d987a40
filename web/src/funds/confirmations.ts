/** How many blocks a payment has by now, read from the chain itself. */

import { useQuery } from "@tanstack/react-query";
import type { Hex } from "viem";

import { useDeployment } from "../api/deployment";
import { useChain } from "./assets";
import type { Confirmations, Withdrawal } from "./steps";

export function useConfirmations(item: Withdrawal | null): Confirmations {
  const chain = useChain().data;
  const required = useDeployment().data?.confirmations ?? null;
  const hash = item?.status === "mined" ? item.tx_hash : null;
  const { data } = useQuery({
    queryKey: ["confirmations", hash],
    enabled: hash !== null && chain != null,
    queryFn: async () => {
      if (hash === null || chain == null) return null;
      const [receipt, head] = await Promise.all([
        chain.getTransactionReceipt({ hash: hash as Hex }),
        chain.getBlockNumber({ cacheTime: 0 }),
      ]);
      return Number(head - receipt.blockNumber) + 1;
    },
    refetchInterval: 1_000,
    retry: false, // a receipt that is gone is not there a moment later either
  });
  return { have: data ?? null, required };
}
