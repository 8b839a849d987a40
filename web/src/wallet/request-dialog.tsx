/** The dialog that a request wants. In a chunk of its own: nothing of it is needed before something is signed. */

import "./wallet.css";

import { type ReactElement, useEffect } from "react";

import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { dismissToast, toastStore } from "../ui/toast";
import { WalletMissing } from "../vault/errors";
import { ApprovalDialog } from "./approval-dialog";
import { BackupDialog } from "./backup-dialog";
import { MessageDialog } from "./message-dialog";
import type { Pending, RequestKind } from "./requests";
import { TransactionDialog } from "./transaction-dialog";
import { WaitingDialog } from "./waiting-dialog";
import { useWalletState, walletOf } from "./wallets";

export default function RequestDialog({ pending }: { pending: Pending }): ReactElement | null {
  const { wallets } = useWalletState();
  useEffect(dismissNews, []);
  if (is(pending, "waiting")) return <WaitingDialog pending={pending} />;
  if (is(pending, "start")) return null;
  const { address } = pending.request as { address: string };
  const wallet = walletOf(wallets, address);
  if (wallet === null) return <Missing address={address} pending={pending} />;
  if (is(pending, "message")) return <MessageDialog pending={pending} wallet={wallet} />;
  if (is(pending, "typed-data")) return <ApprovalDialog pending={pending} wallet={wallet} />;
  if (is(pending, "transaction")) return <TransactionDialog pending={pending} wallet={wallet} />;
  if (is(pending, "backup")) return <BackupDialog pending={pending} wallet={wallet} />;
  return null;
}

/** On a phone they would lie over what is to be signed. Errors stay. */
function dismissNews(): void {
  for (const { id, kind } of toastStore.get()) if (kind !== "error") dismissToast(id);
}

function is<K extends RequestKind>(pending: { request: { kind: RequestKind } }, kind: K): pending is Pending<K> {
  return pending.request.kind === kind;
}

function Missing({ address, pending }: { address: string; pending: Pending }): ReactElement {
  const close = (): void => pending.refuse(new WalletMissing(address));
  const isDamaged = useWalletState().damaged.some((wallet) => wallet.address === address);
  if (isDamaged) {
    return (
      <Dialog title="The wallet is damaged" open onClose={close} footer={<Button onClick={close}>Close</Button>}>
        <p className="break">What this browser has kept of {address} can not be opened any more. The page “Wallet” says how it comes back.</p>
      </Dialog>
    );
  }
  return (
    <Dialog title="Wallet not found" open onClose={close} footer={<Button onClick={close}>Close</Button>}>
      <p className="break">The wallet {address} is no longer in this browser. Import its phrase or keystore file, then try again.</p>
    </Dialog>
  );
}
