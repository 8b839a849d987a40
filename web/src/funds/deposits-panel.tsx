/** Deposits: those on their way first, each with its steps as they happen. */

import { type ReactElement, useEffect } from "react";

import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { useBackup } from "../wallet/backup";
import { Arrivals, useDepositAddress } from "./deposit-address";
import { forgetRun, noteListed, useDepositRuns } from "./deposit-runs";
import { FaucetButton } from "./faucet-button";
import { useDeposits } from "./live-list";
import { useChainsWord } from "./sent-deposit";
import { type Deposit, depositSteps, type DepositRun } from "./steps";
import { TransferEntry, type TransferEntryProps } from "./transfer-entry";
import { TransfersPanel } from "./transfers-panel";

export function DepositsPanel({ onDeposit }: { onDeposit(): void }): ReactElement {
  const deposits = useDeposits();
  const runs = useDepositRuns();
  useEffect(() => noteListed(deposits.items ?? []), [deposits.items, runs]);
  const known = new Set(deposits.items?.map((each) => each.tx_hash.toLowerCase()));
  const unseen = runs.filter((run) => run.txHash === null || !known.has(run.txHash.toLowerCase()));
  return (
    <TransfersPanel
      what="deposits"
      title="Deposits"
      list={deposits}
      before={<ArrivedAtAddress />}
      entries={[
        ...unseen.map((run) => <RunEntry key={`run ${run.id}`} run={run} />),
        ...(deposits.items ?? []).map((item) => <DepositEntry key={`${item.tx_hash}:${item.log_index}`} item={item} />),
      ]}
      empty={
        <Empty
          icon="arrow-down"
          title="No deposits yet"
          detail="What you deposit is shown here, step by step, until it is credited."
          action={
            <div className="row wrap">
              <FaucetButton />
              <Button kind="primary" onClick={onDeposit}>
                Deposit
              </Button>
            </div>
          }
        />
      }
    />
  );
}

function ArrivedAtAddress(): ReactElement | null {
  const { confirmed } = useBackup();
  return confirmed ? <AddressArrivals /> : null;
}

function AddressArrivals(): ReactElement | null {
  const arrivals = useDepositAddress(10_000).answer?.arrivals ?? [];
  if (arrivals.length === 0) return null;
  return (
    <div className="funds-arrivals">
      <Arrivals arrivals={arrivals} />
    </div>
  );
}

function runStatus(run: DepositRun): TransferEntryProps["status"] {
  switch (run.stage) {
    case "failed":
      return { text: "Failed", tone: "bad" };
    case "cancelled":
      return { text: "Not confirmed", tone: "" };
    case "unheard":
      return { text: "Not found", tone: "warn" };
    default:
      return { text: run.txHash === null ? "In your wallet" : "Sent", tone: "accent" };
  }
}

function RunEntry(props: { run: DepositRun }): ReactElement {
  const run = useChainsWord(props.run);
  const isOver = run.stage === "failed" || run.stage === "cancelled";
  return (
    <TransferEntry
      amount={run.amount}
      asset={run.asset}
      timeMs={run.startedMs}
      status={runStatus(run)}
      steps={depositSteps(run, null)}
      isOver={isOver}
    >
      {(isOver || run.stage === "unheard") && (
        <div>
          <Button size="s" onClick={() => forgetRun(run.id)}>
            Remove from this list
          </Button>
        </div>
      )}
    </TransferEntry>
  );
}

function DepositEntry({ item }: { item: Deposit }): ReactElement {
  const isCredited = item.status === "credited";
  return (
    <TransferEntry
      amount={item.amount}
      asset={item.asset}
      timeMs={item.time_ms}
      status={isCredited ? { text: "Credited", tone: "good" } : { text: "On its way", tone: "accent" }}
      steps={depositSteps(null, item).filter((step) => step.id !== "wallet")}
      isOver={isCredited}
    />
  );
}
