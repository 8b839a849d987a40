/** Unlocks a wallet for one thing that the wallet's page does. */

import type { ReactElement, ReactNode } from "react";

import { Button, type ButtonProps } from "../ui/button";
import { Dialog } from "../ui/dialog";
import type { Wallet } from "../vault/record";
import type { Unlock } from "../vault/vault";
import { useUnlock } from "./unlock";

export interface UnlockDialogProps {
  title: string;
  wallet: Wallet;
  verb: string;
  kind?: ButtonProps["kind"];
  disabled?: boolean;
  /** False when what stands above wants the focus */
  autoFocus?: boolean;
  onUnlock(unlock: Unlock): Promise<void>;
  onClose(): void;
  children?: ReactNode;
}

export function UnlockDialog(props: UnlockDialogProps): ReactElement {
  const { title, wallet, verb, kind = "primary", disabled = false, autoFocus = true, onUnlock, onClose, children } = props;
  const unlock = useUnlock({ wallet, verb, kind, disabled, autoFocus, onUnlock });
  const close = (): void => {
    if (!unlock.busy) onClose();
  };
  const footer = (
    <>
      <Button disabled={unlock.busy} onClick={close}>
        Cancel
      </Button>
      {unlock.button}
    </>
  );
  return (
    <Dialog title={title} open onClose={close} closeOnBackdrop={false} footer={footer}>
      <div className="stack">
        {children}
        {unlock.fields}
      </div>
    </Dialog>
  );
}
