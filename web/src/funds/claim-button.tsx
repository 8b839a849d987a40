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
import { VAULT_ABI } from "./vault-abi";

export function ClaimButton({ asset: symbol }: { asset: string }): ReactElement | null {
  const asset = useAssets().data?.find((each) => each.symbol === symbol) ?? null;
  const deployment = useDeployment().data;
  const chain = useChain().data;
  const { me } = useSession();
  const request = useOwnSigner();
  const [busy, setBusy] = useState(false);
  const claimable = useQuery({
    queryKey: ["private", "claimable", me?.address, symbol],
    enabled: chain != null && deployment !== undefined && asset !== null && me !== null,
    queryFn: () =>
      chain == null || deployment === undefined || asset === null || me === null
        ? 0n
        : chain.readContract({
            address: deployment.vault as Address,
            abi: VAULT_ABI,
            functionName: "claimable",
            args: [me.address as Address, asset.token as Address],
          }),
  });
  if (asset === null || deployment === undefined || me === null) return null;
  const atoms = claimable.data ?? null;
  if (atoms === 0n) return <p className="muted small">It has been claimed.</p>;
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
      await chain?.waitForTransactionReceipt({ hash });
      toast("ok", "Claimed", `${amount} went to your wallet.`);
      await claimable.refetch();
    } catch (error) {
      if (!(error instanceof SignatureRefused)) toast("error", "It was not claimed", inWords(error).text);
    } finally {
      setBusy(false);
    }
  }

  return (
    <div>
      <Button kind="primary" busy={busy} onClick={() => void claim()}>
        Claim {amount}
      </Button>
    </div>
  );
}
