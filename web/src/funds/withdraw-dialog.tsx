/** Withdrawing: what, how much and where to; what it costs; the signature; and the steps until it is paid. */

import "./funds.css";

import { type ReactElement, useState } from "react";

import { useDeployment } from "../api/deployment";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { useAssets } from "./assets";
import { useConfirmations } from "./confirmations";
import type { FundsDialogProps } from "./deposit-dialog";
import { useWithdrawals } from "./live-list";
import { StepList } from "./step-list";
import { isFinal, type Step, type Withdrawal, withdrawalSteps } from "./steps";
import { type Draft, WithdrawForm } from "./withdraw-form";
import { lookAgain, useWithdrawalRuns, type WithdrawalRun } from "./withdrawal-runs";

export function WithdrawDialog(props: FundsDialogProps): ReactElement | null {
  return props.open ? <OpenWithdrawDialog {...props} /> : null;
}

const UNDER_WAY = new Set<WithdrawalRun["stage"]>(["signing", "handing-in", "unknown"]);

function OpenWithdrawDialog({ asset, onClose }: FundsDialogProps): ReactElement {
  const runs = useWithdrawalRuns();
  // One that is not known to be taken yet goes before a new one: it must not be signed a second time.
  const [runId, setRunId] = useState(() => runs.find((each) => UNDER_WAY.has(each.stage))?.id ?? null);
  const [draft, setDraft] = useState<Draft>({ asset: asset ?? "", amount: "", destination: null });
  const assets = useAssets().data;
  const deployment = useDeployment().data;
  const { me } = useSession();
  const run = runs.find((each) => each.id === runId) ?? null;
  // What was refused is mended in the form, beside the field at fault.
  const showsForm = run === null || run.stage === "refused" || run.stage === "cancelled";
  return (
    <Dialog title="Withdraw" open onClose={onClose} closeOnBackdrop={false}>
      <div className="stack funds-dialog">
        {assets === undefined || deployment === undefined || me === null ? (
          <Loading />
        ) : showsForm ? (
          <WithdrawForm
            assets={assets}
            deployment={deployment}
            owner={me.address}
            draft={draft}
            onDraft={setDraft}
            refused={run}
            onStarted={setRunId}
          />
        ) : (
          <WithdrawSteps
            run={run}
            halted={deployment.withdrawals_halted}
            onClose={onClose}
            onAgain={() => {
              setRunId(null);
              setDraft((now) => ({ ...now, amount: "" }));
            }}
          />
        )}
      </div>
    </Dialog>
  );
}

interface StepsProps {
  run: WithdrawalRun;
  halted: boolean;
  onClose(): void;
  onAgain(): void;
}

function WithdrawSteps({ run, halted, onClose, onAgain }: StepsProps): ReactElement {
  const listed = useWithdrawals().items?.find((each) => each.withdrawal_id === run.withdrawalId);
  const item = listed ?? run.taken;
  const confirmations = useConfirmations(item);
  const steps = item === null ? beforeItIsTaken(run) : withdrawalSteps(item, confirmations, halted);
  const isOver = item !== null && isFinal(item);
  return (
    <div className="stack funds-form">
      <p className="large num">
        <Money value={run.amount} asset={run.asset} />
      </p>
      <StepList label="Steps of the withdrawal" steps={steps} />
      {item === null && run.stage === "unknown" && <NotKnown run={run} />}
      <p className="muted small" role="status">
        {item === null ? "" : said(item)}
      </p>
      <div className="row end wrap funds-end">
        {isOver && <Button onClick={onAgain}>Withdraw more</Button>}
        <Button kind={isOver ? "primary" : "quiet"} onClick={onClose}>
          {isOver ? "Done" : "Close"}
        </Button>
      </div>
    </div>
  );
}

function said({ status, outcome }: Withdrawal): string {
  switch (status) {
    case "refunded":
      return "It was not paid. The whole amount is back in your balance.";
    case "settled":
      return outcome === "claimable" ? "Claim the amount from the vault on the Funds page." : "Your withdrawal has been paid.";
    case "rejected":
      return "You can close this. The Funds page shows when the amount is back.";
    default:
      return "You can close this. The withdrawal goes on, and the Funds page shows it.";
  }
}

function beforeItIsTaken(run: WithdrawalRun): Step[] {
  const isSigned = run.withdrawalId !== null;
  return [
    {
      id: "sign",
      title: "Sign in your wallet",
      state: isSigned ? "done" : "now",
      ...(isSigned ? {} : { detail: "Your wallet shows amount, fee and destination." }),
    },
    {
      id: "requested",
      title: "Requested",
      state: isSigned ? "now" : "later",
      ...(run.stage === "handing-in" ? { detail: "Handed in to the exchange." } : {}),
    },
  ];
}

/** The one thing that must not be done now is to sign another one. */
export function NotKnown({ run }: { run: WithdrawalRun }): ReactElement {
  return (
    <div className="note warn stack">
      <p>
        The exchange has not answered, so it is not known yet whether it has taken your withdrawal of {run.amount}{" "}
        {run.asset}. Do not sign another one. What you signed counts once at most, however often it is handed in.
      </p>
      <div>
        <Button size="s" busy={run.isLooking} onClick={() => void lookAgain(run.id)}>
          Look again
        </Button>
      </div>
    </div>
  );
}
