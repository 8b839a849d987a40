/** A payment that could not be delivered waits in the vault: its owner fetches it. */

import { useQuery } from "@tanstack/react-query";
import { type ReactElement, useState } from "react";
import { type Address, encodeFunctionData } from "viem";

import { useDeployment } from "../api/deployment";
import { fromUnits } from "../numbers";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { toast } from "../ui/toast";
import { SignatureRefused } from "../wallet/signer";
import { useAssets, useChain } from "./assets";
import { useOwnSigner } from "./own-signer";
import { inWords } from "./problem-text";
import { receiptOf } from "./receipt";
import { NATIVE, VAULT_ABI } from "./vault-abi";

export interface Claimable {
  /** All that waits of the asset, in atoms; null until the chain has said it. */
  atoms: bigint | null;
  refetch(): Promise<unknown>;
}

/** What waits in the vault for whoever is signed in. `symbol` is null where nothing can. */
export function useClaimable(symbol: string | null): Claimable {
  const asset = useAssets().data?.find((each) => each.symbol === symbol) ?? null;
  const deployment = useDeployment().data;
  const chain = useChain().data;
  const { me } = useSession();
  const { data, refetch } = useQuery({
    queryKey: ["private", "claimable", me?.address, symbol],
    enabled: chain != null && deployment !== undefined && asset !== null && me !== null,
    queryFn: () =>
      chain == null || deployment === undefined || asset === null || me === null
        ? null
        : chain.readContract({
            address: deployment.vault as Address,
            abi: VAULT_ABI,
            functionName: "claimable",
            args: [me.address as Address, asset.token as Address],
          }),
  });
  return { atoms: data ?? null, refetch };
}

export function ClaimButton({ asset: symbol, claimable }: { asset: string; claimable: Claimable }): ReactElement | null {
  const assets = useAssets().data;
  const asset = assets?.find((each) => each.symbol === symbol) ?? null;
  const coin = assets?.find((each) => each.token === NATIVE)?.symbol ?? "the chain's coin";
  const deployment = useDeployment().data;
  const chain = useChain().data;
  const { me } = useSession();
  const request = useOwnSigner();
  const [busy, setBusy] = useState(false);
  const { atoms } = claimable;
  if (asset === null || deployment === undefined || me === null || atoms === 0n) return null;
  const amount = atoms === null ? symbol : `${fromUnits(atoms, asset.decimals)} ${symbol}`;

  async function claim(): Promise<void> {
    if (asset === null || deployment === undefined || me === null) return;
    setBusy(true);
    try {
      const signer = await request();
      const data = encodeFunctionData({
        abi: VAULT_ABI,
        functionName: "claim",
        args: [asset.token as Address, me.address as Address],
      });
      const hash = await signer.sendTransaction(
        { to: deployment.vault as Address, data },
        {
          title: `Claim ${amount} from the vault`,
          lines: [
            { label: "Amount", value: amount },
            { label: "To", value: me.address },
          ],
        },
      );
      const receipt = chain == null ? undefined : await receiptOf(chain, hash);
      if (receipt?.status === "reverted") toast("error", "It was not claimed", "The transaction failed on the chain.");
      else if (receipt === undefined) toast("info", "Sent", "The amount comes to your wallet once it is in a block.");
      else toast("ok", "Claimed", `${amount} went to your wallet.`);
      await claimable.refetch();
    } catch (error) {
      if (!(error instanceof SignatureRefused)) toast("error", "It was not claimed", inWords(error).text);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div className="row wrap">
      <Button kind="primary" busy={busy} onClick={() => void claim()}>
        Claim {amount}
      </Button>
      <span className="muted small">Your wallet pays the network fee in {coin}.</span>
    </div>
  );
}
