/** Withdrawals with their steps as they happen; what could not be delivered is claimed here. */

import { type ReactElement, useEffect } from "react";

import { useDeployment } from "../api/deployment";
import { minus } from "../numbers";
import { Empty } from "../ui/empty";
import { Hash } from "../ui/hash";
import { Money } from "../ui/money";
import { ClaimButton, useClaimable } from "./claim-button";
import { useConfirmations } from "./confirmations";
import { useWithdrawals } from "./live-list";
import { isFinal, type Withdrawal, withdrawalSteps } from "./steps";
import { TransferEntry, type TransferEntryProps } from "./transfer-entry";
import { TransfersPanel } from "./transfers-panel";
import { NotKnown } from "./withdraw-dialog";
import { noteTaken, useWithdrawalRuns } from "./withdrawal-runs";

export function WithdrawalsPanel({ halted }: { halted: boolean }): ReactElement {
  const withdrawals = useWithdrawals();
  const runs = useWithdrawalRuns();
  useEffect(() => noteTaken(withdrawals.items ?? []), [withdrawals.items, runs]);
  const known = new Set(withdrawals.items?.map((each) => each.withdrawal_id));
  const unknown = runs.filter((run) => run.stage === "unknown" && !known.has(run.withdrawalId ?? ""));
  return (
    <TransfersPanel
      what="withdrawals"
      title="Withdrawals"
      list={withdrawals}
      before={unknown.map((run) => (
        <div key={run.id} className="funds-arrivals">
          <NotKnown run={run} />
        </div>
      ))}
      entries={(withdrawals.items ?? []).map((item) => (
        <WithdrawalEntry key={item.withdrawal_id} item={item} halted={halted} />
      ))}
      empty={<Empty icon="arrow-up" title="No withdrawals yet" detail="What you withdraw is shown here, step by step, until it is paid." />}
    />
  );
}

function WithdrawalEntry({ item, halted }: { item: Withdrawal; halted: boolean }): ReactElement {
  const confirmations = useConfirmations(item);
  const chainId = useDeployment().data?.chain_id;
  const isUndelivered = item.outcome === "claimable";
  const claimable = useClaimable(isUndelivered ? item.asset : null);
  const isClaimed = isUndelivered && claimable.atoms === 0n;
  return (
    <TransferEntry
      amount={item.amount}
      asset={item.asset}
      timeMs={item.requested_ms}
      status={statusOf(item, isClaimed)}
      steps={withdrawalSteps(item, confirmations, halted, isClaimed)}
      isOver={isFinal(item) && isUndelivered === isClaimed}
    >
      <dl className="facts small">
        <div>
          <dt>To</dt>
          <dd><Hash value={item.destination} label="address" /></dd>
        </div>
        <div>
          <dt>Fee</dt>
          <dd><Money value={item.fee} asset={item.asset} /></dd>
        </div>
        <div>
          <dt>Receives</dt>
          <dd><Money value={minus(item.amount, item.fee)} asset={item.asset} /></dd>
        </div>
        <div>
          <dt>Id, here and on chain {chainId}</dt>
          <dd><Hash value={item.withdrawal_id} label="withdrawal id" /></dd>
        </div>
      </dl>
      {isUndelivered && <ClaimButton asset={item.asset} claimable={claimable} />}
    </TransferEntry>
  );
}

function statusOf(item: Withdrawal, isClaimed: boolean): TransferEntryProps["status"] {
  switch (item.status) {
    case "settled":
      if (isClaimed) return { text: "Claimed", tone: "good" };
      return item.outcome === "claimable" ? { text: "To be claimed", tone: "warn" } : { text: "Settled", tone: "good" };
    case "refunded":
      return { text: "Refunded", tone: "" };
    case "rejected":
      return { text: "Rejected", tone: "bad" };
    case "review":
      return { text: "In review", tone: "warn" };
    default:
      return { text: "On its way", tone: "accent" };
  }
}
