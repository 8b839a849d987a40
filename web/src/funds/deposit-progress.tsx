/** The steps of a deposit from the wallet until it counts. */

import type { ReactElement } from "react";

import { navigate } from "../router";
import { Button } from "../ui/button";
import { Money } from "../ui/money";
import { useDepositRuns } from "./deposit-runs";
import { useDeposits } from "./live-list";
import { StepList } from "./step-list";
import { depositSteps } from "./steps";

export function DepositSteps(props: { runId: number; onClose(): void; onAgain(isCredited: boolean): void }): ReactElement | null {
  const run = useDepositRuns().find((each) => each.id === props.runId);
  const deposits = useDeposits().items;
  if (run === undefined) return null;
  const item = deposits?.find((each) => each.tx_hash.toLowerCase() === run.txHash?.toLowerCase()) ?? null;
  const isCredited = item?.status === "credited";
  const isOver = isCredited || run.stage === "failed" || run.stage === "cancelled";
  return (
    <div className="stack funds-form">
      <p className="large num">
        <Money value={run.amount} asset={run.asset} />
      </p>
      <StepList label="Steps of the deposit" steps={depositSteps(run, item)} />
      <p className="muted small" role="status">
        {isCredited ? "Your deposit is credited. You can trade with it." : isOver ? "" : "You can close this. The deposit goes on, and the Funds page shows it."}
      </p>
      <div className="row end wrap funds-end">
        {isOver && <Button onClick={() => props.onAgain(isCredited)}>{isCredited ? "Deposit more" : "Try again"}</Button>}
        {isCredited && (
          <Button
            kind="primary"
            onClick={() => {
              props.onClose();
              navigate("/");
            }}
          >
            Start trading
          </Button>
        )}
        {!isCredited && <Button onClick={props.onClose}>Close</Button>}
      </div>
    </div>
  );
}
