/** Depositing: from the wallet in one go, or to an address that anything else can send to. */

import "./funds.css";

import { type ReactElement, useState } from "react";

import { Dialog } from "../ui/dialog";
import { TabPanel, Tabs } from "../ui/tabs";
import { DepositAddress } from "./deposit-address";
import { type DepositDraft, DepositFromWallet } from "./deposit-from-wallet";
import { DepositSteps } from "./deposit-progress";
import { forgetRun } from "./deposit-runs";

export interface FundsDialogProps {
  /** The asset that it begins with. */
  asset?: string | undefined;
  open: boolean;
  onClose(): void;
}

type Way = "wallet" | "address";

const WAYS: readonly { value: Way; label: string }[] = [
  { value: "wallet", label: "From your wallet" },
  { value: "address", label: "To your deposit address" },
];

export function DepositDialog(props: FundsDialogProps): ReactElement | null {
  return props.open ? <OpenDepositDialog {...props} /> : null;
}

function OpenDepositDialog({ asset, onClose }: FundsDialogProps): ReactElement {
  const [way, setWay] = useState<Way>("wallet");
  const [runId, setRunId] = useState<number | null>(null);
  const [draft, setDraft] = useState<DepositDraft>({ asset: asset ?? null, amount: "" });
  function again(isCredited: boolean): void {
    if (runId !== null && !isCredited) forgetRun(runId); // it came to nothing, and is tried again
    setRunId(null);
    if (isCredited) setDraft((now) => ({ ...now, amount: "" }));
  }
  if (runId !== null) {
    return (
      <Dialog title="Deposit" open onClose={onClose} closeOnBackdrop={false}>
        <div className="stack funds-dialog">
          <DepositSteps runId={runId} onClose={onClose} onAgain={again} />
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title="Deposit" open onClose={onClose} closeOnBackdrop={false}>
      <div className="stack funds-dialog">
        <Tabs<Way> id="deposit-way" label="Way to deposit" tabs={WAYS} value={way} onChange={setWay} even />
        <TabPanel id="deposit-way" value={way} className="funds-dialog-panel">
          {way === "wallet" ? <DepositFromWallet draft={draft} onDraft={setDraft} onStarted={setRunId} /> : <DepositAddress />}
        </TabPanel>
      </div>
    </Dialog>
  );
}
