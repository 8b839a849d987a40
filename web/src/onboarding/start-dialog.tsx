/** Where everybody starts: make a wallet, open one, or bring one. What it shows is loaded when it is opened. */

import { lazy, type ReactElement, Suspense, useState } from "react";

import { Dialog } from "../ui/dialog";
import { ErrorBoundary } from "../ui/error-boundary";
import { Loading } from "../ui/loading";
import type { Signer } from "../wallet/signer";
import { useWalletState } from "../wallet/wallets";
import type { Step } from "./steps";

const StartPanel = lazy(() => import("./start-panel"));

const TITLES: Record<Step, string> = {
  choose: "Start trading",
  make: "Make a wallet",
  import: "Bring your wallet",
  browser: "Use a browser wallet",
  unlock: "Unlock",
};

export interface StartDialogProps {
  open: boolean;
  /** Where to begin; else where most do. */
  first?: Step | undefined;
  onClose(): void;
  /** Signed in. Without it the dialog only closes then. */
  onDone?(signer: Signer): void;
}

export function StartDialog({ open, first, onClose, onDone }: StartDialogProps): ReactElement | null {
  const { loaded, wallets } = useWalletState();
  if (!open || !loaded) return null; // where to begin depends on what is stored; that is a matter of milliseconds
  const begin = first ?? (wallets.length > 0 ? "unlock" : "choose");
  return <OpenStart first={begin} onClose={onClose} onDone={onDone ?? onClose} />;
}

interface OpenStartProps {
  first: Step;
  onClose(): void;
  onDone(signer: Signer): void;
}

function OpenStart({ first, onClose, onDone }: OpenStartProps): ReactElement {
  const [step, setStep] = useState<Step>(first);
  return (
    <Dialog title={TITLES[step]} open onClose={onClose} closeOnBackdrop={step === "choose"}>
      <ErrorBoundary label="The wallet" resetKey={step}>
        <Suspense fallback={<Loading />}>
          <StartPanel step={step} onStep={setStep} onDone={onDone} />
        </Suspense>
      </ErrorBoundary>
    </Dialog>
  );
}
