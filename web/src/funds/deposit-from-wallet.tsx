/** An amount from the wallet into the vault. */

import { useQuery } from "@tanstack/react-query";
import { type FormEvent, type ReactElement, useState } from "react";
import type { Address } from "viem";

import { useDeployment } from "../api/deployment";
import { fromUnits } from "../numbers";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { Select } from "../ui/select";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import { SignatureRefused } from "../wallet/signer";
import { lessFee, readAmount, shortened } from "./amount";
import { type Asset, useAssets, useChain, useWalletBalance } from "./assets";
import { startDeposit } from "./deposit-runs";
import { FaucetButton } from "./faucet-button";
import { feeReserve } from "./make-deposit";
import { useOwnSigner } from "./own-signer";
import { inWords } from "./problem-text";
import { NATIVE } from "./vault-abi";

export interface DepositDraft {
  /** Null: the first that is listed. */
  asset: string | null;
  amount: string;
}

interface Props {
  draft: DepositDraft;
  onDraft(draft: DepositDraft): void;
  onStarted(run: number): void;
}

export function DepositFromWallet({ draft, onDraft, onStarted }: Props): ReactElement {
  const assets = useAssets().data;
  const chain = useChain();
  if (assets === undefined || chain.data === undefined) return <Loading />;
  if (chain.data === null) {
    return (
      <p className="note">
        This exchange names no node of its chain, so this page can not look into your wallet. Send to your deposit
        address instead.
      </p>
    );
  }
  return <DepositForm assets={assets} draft={draft} onDraft={onDraft} onStarted={onStarted} />;
}

function DepositForm({ assets, draft, onDraft, onStarted }: Props & { assets: Asset[] }): ReactElement {
  const symbol = draft.asset ?? assets[0]?.symbol ?? "";
  const typed = draft.amount;
  const setTyped = (amount: string) => onDraft({ asset: symbol, amount });
  const [isTried, setIsTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const deployment = useDeployment().data;
  const chain = useChain().data;
  const { me } = useSession();
  const request = useOwnSigner();
  const asset = assets.find((each) => each.symbol === symbol) ?? null;
  const coin = assets.find((each) => each.token === NATIVE) ?? null;
  const balance = useWalletBalance(asset, me?.address ?? null).data;
  const coins = useWalletBalance(coin, me?.address ?? null).data;
  const reserve = useQuery({
    queryKey: ["private", "deposit-fee", me?.address],
    enabled: chain != null && deployment !== undefined && me !== null,
    queryFn: () =>
      chain == null || deployment === undefined || me === null
        ? null
        : feeReserve(chain, deployment, me.address as Address),
    refetchInterval: 15_000,
  }).data;

  if (asset === null) return <p className="note">No asset is listed yet.</p>;
  const isCoin = asset.token === NATIVE;
  const kept = isCoin ? (reserve ?? 0n) : 0n;
  const most = balance == null ? null : lessFee(balance, kept);
  const amount = readAmount(typed, asset.decimals, asset.symbol);
  const problem = problemOf(amount, most, kept, asset, isTried);
  const hasNoCoins = coins != null && reserve != null && coins < reserve / 2n;

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setIsTried(true);
    if (busy || asset === null || chain == null || deployment === undefined || me === null) return;
    // A balance that is not known yet stops nobody: it is looked at again before anything is sent.
    if (!("atoms" in amount) || (most !== null && amount.atoms > most)) return;
    setBusy(true);
    try {
      const signer = await request();
      const account = me.address as Address;
      onStarted(startDeposit({ client: chain, signer, deployment, asset, atoms: amount.atoms, amount: amount.text, account }));
    } catch (error) {
      if (!(error instanceof SignatureRefused)) toast("error", "No deposit was made", inWords(error).text);
    } finally {
      setBusy(false);
    }
  }

  const shownBalance = balance == null ? null : fromUnits(balance, asset.decimals);
  return (
    <form className="stack funds-form" noValidate onSubmit={(event) => void submit(event)}>
      <Field label="Asset">
        <Select value={symbol} options={assets.map((each) => ({ value: each.symbol, label: each.symbol }))} onChange={(chosen) => onDraft({ asset: chosen, amount: "" })} />
      </Field>
      <Field
        label="Amount"
        reserve
        error={problem}
        hint={isCoin && reserve != null ? <>{fromUnits(shortened(reserve), 18)} {asset.symbol} stay in your wallet for network fees.</> : null}
        aside={<>In your wallet: <Money value={shownBalance} asset={asset.symbol} /></>}
      >
        <TextInput
          inputMode="decimal"
          placeholder="0"
          value={typed}
          onChange={setTyped}
          suffix={
            <>
              <Button kind="plain" size="s" disabled={most === null} onClick={() => setTyped(most === null ? "" : fromUnits(most, asset.decimals))}>
                Max
              </Button>
              {asset.symbol}
            </>
          }
        />
      </Field>
      {balance === 0n && <EmptyWallet symbol={asset.symbol} />}
      {balance !== 0n && hasNoCoins && (
        <p className="note warn">Your wallet needs some {coin?.symbol ?? "of the chain's coin"} for the network fee.</p>
      )}
      <dl className="facts">
        <div>
          <dt>Credited</dt>
          <dd>{whenCredited(deployment?.confirmations)}</dd>
        </div>
        <div>
          <dt>Network fee, about</dt>
          <dd><Money value={reserve == null ? null : fromUnits(shortened(reserve / 2n), 18)} asset={coin?.symbol ?? ""} /></dd>
        </div>
      </dl>
      <Button kind="primary" size="l" block type="submit" busy={busy}>
        {"text" in amount ? `Deposit ${amount.text} ${asset.symbol}` : `Deposit ${asset.symbol}`}
      </Button>
    </form>
  );
}

function EmptyWallet({ symbol }: { symbol: string }): ReactElement {
  return (
    <div className="note row wrap spread">
      <span>Your wallet has no {symbol} on this chain yet.</span>
      <FaucetButton size="s" />
    </div>
  );
}

function problemOf(
  amount: ReturnType<typeof readAmount>,
  most: bigint | null,
  kept: bigint,
  asset: Asset,
  isTried: boolean,
): string | null {
  if ("problem" in amount) return amount.problem ?? (isTried ? "Enter an amount." : null);
  if (most === null || amount.atoms <= most) return null;
  const left = `${fromUnits(most, asset.decimals)} ${asset.symbol}`;
  return kept > 0n ? `At most ${left}, so that the network fee can be paid.` : `Your wallet has ${left}.`;
}

function whenCredited(confirmations: number | null | undefined): string {
  if (confirmations === undefined) return "";
  if (confirmations === null) return "once its block is final";
  return confirmations === 1 ? "with its block" : `after ${confirmations} confirmations`;
}
