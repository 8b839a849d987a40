/** Test funds for the wallet, on a chain where they are worth nothing. Elsewhere there is no such button. */

import { useQueryClient } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";

import { api, ApiProblem } from "../api/client";
import { useDeployment } from "../api/deployment";
import { useSession } from "../session";
import { Button, type ButtonProps } from "../ui/button";
import { toast } from "../ui/toast";
import { inWords } from "./problem-text";

interface FaucetAnswer {
  transactions: { asset: string; amount: string; tx_hash: string }[];
}

export function FaucetButton({ kind = "quiet", size = "m", onFunded }: FaucetProps): ReactElement | null {
  const deployment = useDeployment().data;
  const { status } = useSession();
  const queries = useQueryClient();
  const [busy, setBusy] = useState(false);
  if (deployment?.faucet !== true || status !== "signed-in") return null;

  async function ask(): Promise<void> {
    setBusy(true);
    try {
      const { transactions } = await api.post<FaucetAnswer>("/v1/faucet");
      const what = transactions.map((each) => `${each.amount} ${each.asset}`).join(", ");
      toast("ok", "Test funds are in your wallet", `${what}. Deposit them to trade.`);
      await queries.invalidateQueries({ queryKey: ["private", "wallet-balance"] });
      onFunded?.();
    } catch (error) {
      toast(isFunded(error) ? "info" : "error", ...saying(error));
    } finally {
      setBusy(false);
    }
  }

  return (
    <Button kind={kind} size={size} busy={busy} onClick={() => void ask()}>
      Get test funds
    </Button>
  );
}

export interface FaucetProps extends Pick<ButtonProps, "kind" | "size"> {
  onFunded?(): void;
}

function isFunded(error: unknown): boolean {
  return error instanceof ApiProblem && error.code === "faucet_not_needed";
}

function saying(error: unknown): [string, string] {
  if (isFunded(error)) return ["Your wallet has test funds already", "Deposit them to trade."];
  if (error instanceof ApiProblem && error.code === "rate_limited") {
    return ["Not again so soon", "Test funds are given once in 10 seconds."];
  }
  return ["No test funds came", inWords(error).text];
}
