/** Removing a wallet from this browser, for good. */

import { type FormEvent, type ReactElement, useState } from "react";

import { useSession } from "../session";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import type { Wallet } from "../vault/record";
import { keyEndText, useLeave } from "./lock";
import { reloadWallets, walletStore } from "./wallets";
import { messageOf } from "./words";

const WORD = "delete";

export function DeletePanel({ wallet }: { wallet: Wallet }): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <section className="panel" aria-labelledby="wallet-delete">
      <header className="panel-head">
        <h2 id="wallet-delete">Delete from this browser</h2>
      </header>
      <div className="panel-body row wrap spread">
        <p className="muted">Your account and your money stay. Without a backup nobody reaches them any more.</p>
        <Button icon="trash" onClick={() => setOpen(true)}>
          Delete the wallet
        </Button>
      </div>
      {open && <DeleteDialog wallet={wallet} onClose={() => setOpen(false)} />}
    </section>
  );
}

function DeleteDialog({ wallet, onClose }: { wallet: Wallet; onClose(): void }): ReactElement {
  const { me } = useSession();
  const leave = useLeave();
  const [typed, setTyped] = useState("");
  const [tried, setTried] = useState(false);
  const right = typed.trim().toLowerCase() === WORD;

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setTried(true);
    if (!right) return;
    try {
      await walletStore().remove(wallet.address);
      await reloadWallets();
      const isSignedIn = me?.address === wallet.address;
      const { key, error } = isSignedIn ? await leave() : { key: { kind: "none" } as const, error: null };
      const ofKey = keyEndText(key);
      toast(key.kind === "left" ? "error" : "info", `${wallet.name} is deleted from this browser`, ofKey);
      if (error !== null) toast("error", "Could not sign out at the exchange", messageOf(error));
    } catch (error) {
      toast("error", "Not everything was done", messageOf(error));
    }
    onClose();
  }

  const footer = (
    <>
      <Button onClick={onClose}>Keep it</Button>
      <Button kind="danger" type="submit" form="delete-wallet">
        Delete
      </Button>
    </>
  );
  return (
    <Dialog title={`Delete ${wallet.name}`} open onClose={onClose} footer={footer}>
      <form id="delete-wallet" className="stack" onSubmit={(event) => void submit(event)}>
        {wallet.backupConfirmed ? (
          <p className="note warn">Only the backup brings it back. Do you know where it is?</p>
        ) : (
          <p className="note bad" role="alert">
            This wallet was never backed up. Deleting it is losing it, with everything it owns on the exchange and on chain.
          </p>
        )}
        <Field label={`Type “${WORD}” to go on`} error={tried && !right ? `Type the word ${WORD}` : null}>
          <TextInput value={typed} onChange={setTyped} autoCapitalize="none" data-autofocus />
        </Field>
      </form>
    </Dialog>
  );
}
