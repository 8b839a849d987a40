/** What the chain says of a deposit that was sent before the page was loaded again. */

import { useQuery } from "@tanstack/react-query";
import { type Hex, type PublicClient, TransactionNotFoundError, TransactionReceiptNotFoundError } from "viem";

import { useChain } from "./assets";
import { REVERTED } from "./make-deposit";
import type { DepositRun } from "./steps";

type Word = Pick<DepositRun, "stage" | "failure" | "endedIn">;

/** Throws what the node says when it does not answer. */
export async function wordOfTheChain(client: PublicClient, hash: Hex): Promise<Word> {
  const receipt = await client.getTransactionReceipt({ hash }).catch(nullIf(TransactionReceiptNotFoundError));
  if (receipt?.status === "success") return { stage: "mined", failure: null, endedIn: null };
  if (receipt !== null) return { stage: "failed", failure: REVERTED, endedIn: "sent" };
  const waiting = await client.getTransaction({ hash }).catch(nullIf(TransactionNotFoundError));
  return { stage: waiting === null ? "unheard" : "sent", failure: null, endedIn: null };
}

function nullIf(kind: abstract new (...parts: never[]) => Error): (error: unknown) => null {
  return (error) => {
    if (error instanceof kind) return null;
    throw error;
  };
}

/** The run with what the chain says of it now. One that this page has sent itself is followed already. */
export function useChainsWord(run: DepositRun): DepositRun {
  const chain = useChain().data;
  const hash = run.stage === "recalled" ? run.txHash : null;
  const { data } = useQuery({
    queryKey: ["sent-deposit", hash],
    enabled: hash !== null && chain != null,
    queryFn: () => (hash === null || chain == null ? null : wordOfTheChain(chain, hash as Hex)),
    refetchInterval: 2_000,
    retry: false, // it is asked again in any case
  });
  return data == null ? run : { ...run, ...data };
}
