/** A stored wallet that can not be used: what is the matter with it, and the ways out. */

import type { ReactElement } from "react";

import { useSession } from "../session";
import { Button } from "../ui/button";
import { confirmDialog } from "../ui/confirm";
import { shortHash } from "../ui/hash";
import { Icon } from "../ui/icon";
import { toast } from "../ui/toast";
import type { DamagedWallet } from "../vault/record";
import { keyEndText, useLeave } from "./lock";
import { saveJson } from "./save-file";
import { reloadWallets, useWalletState, walletStore } from "./wallets";
import { messageOf } from "./words";

/** All that there are; nothing else. */
export function DamagedWallets({ onBring }: { onBring(): void }): ReactElement | null {
  const { damaged, unreadable } = useWalletState();
  if (unreadable !== null) return <Unreadable why={unreadable} />;
  if (damaged.length === 0) return null;
  return (
    <>
      {damaged.map((wallet) => (
        <DamagedNote key={wallet.address} wallet={wallet} onBring={onBring} />
      ))}
    </>
  );
}

export function DamagedNote({ wallet, onBring }: { wallet: DamagedWallet; onBring(): void }): ReactElement {
  const remove = useRemove();
  const name = nameOf(wallet);
  return (
    <div className="note bad stack" role="group" aria-label={`Damaged wallet: ${name}`}>
      <p className="strong row">
        <Icon name="alert" size={16} />
        <span className="break">{wallet.isNewer ? `${name} was kept by a newer app` : `${name} is damaged`}</span>
      </p>
      {wallet.isNewer ? (
        <p>Load the page anew: this one is too old to open it. Nothing is wrong with the wallet itself.</p>
      ) : (
        <p>
          What this browser has kept of it can not be opened any more (what is wrong: {wallet.what}). Your account and
          your money are as they were: the wallet’s recovery phrase or keystore file brings it back.
        </p>
      )}
      <div className="row wrap">
        {wallet.isNewer && (
          <Button size="s" kind="primary" icon="refresh" onClick={() => location.reload()}>
            Load the page anew
          </Button>
        )}
        <Button size="s" kind={wallet.isNewer ? "quiet" : "primary"} icon="upload" onClick={onBring}>
          Bring it back
        </Button>
        <Button size="s" icon="download" onClick={() => void save(wallet)}>
          Save what is kept
        </Button>
        <Button size="s" icon="trash" onClick={() => void remove(wallet)}>
          Remove it
        </Button>
      </div>
    </div>
  );
}

function Unreadable({ why }: { why: string }): ReactElement {
  return (
    <div className="note warn stack tight" role="alert">
      <p className="strong">It is not known whether this browser keeps wallets of yours</p>
      <p>
        {why}. One that was made here before may still be there: load the page anew, or use a window that is not
        private. A recovery phrase or keystore file brings it back in any case.
      </p>
    </div>
  );
}

function nameOf(wallet: DamagedWallet): string {
  const address = /^0x[0-9a-fA-F]{40}$/.test(wallet.address) ? shortHash(wallet.address) : null;
  return [wallet.name ?? "A wallet of this browser", address === null ? null : `(${address})`].filter(Boolean).join(" ");
}

/** For somebody who can perhaps mend it: nothing in it is secret by itself. */
async function save(wallet: DamagedWallet): Promise<void> {
  try {
    saveJson(JSON.stringify(await walletStore().stored(wallet.key), null, 2), "damaged-wallet.json");
  } catch (error) {
    toast("error", "It could not be read", messageOf(error));
  }
}

function useRemove(): (wallet: DamagedWallet) => Promise<void> {
  const { me } = useSession();
  const leave = useLeave();
  return async (wallet) => {
    const sure = await confirmDialog({
      title: "Remove what is kept of it?",
      body: `${nameOf(wallet)} then comes back only by its recovery phrase or keystore file. Without them nobody reaches its account any more.`,
      confirm: "Remove it",
      cancel: "Keep it",
      kind: "danger",
    });
    if (!sure) return;
    try {
      await walletStore().remove(wallet.key);
      await reloadWallets();
    } catch (error) {
      toast("error", "It was not removed", messageOf(error));
      return;
    }
    const left = me?.address === wallet.address ? await leave() : null;
    const ofKey = left === null ? undefined : keyEndText(left.key);
    toast(left?.key.kind === "left" ? "error" : "info", "Removed from this browser", ofKey);
    if (left !== null && left.error !== null) toast("error", "Could not sign out at the exchange", messageOf(left.error));
  };
}
