/** Withdrawals with their steps as they happen; what could not be delivered is claimed here. */

import type { ReactElement } from "react";

import { useDeployment } from "../api/deployment";
import { minus } from "../numbers";
import { Empty } from "../ui/empty";
import { Hash } from "../ui/hash";
import { Money } from "../ui/money";
import { ClaimButton } from "./claim-button";
import { useConfirmations } from "./confirmations";
import { ListState, MoreButton } from "./deposits-panel";
import { useWithdrawals } from "./live-list";
import { isFinal, type Withdrawal, withdrawalSteps } from "./steps";
import { TransferEntry, type TransferEntryProps } from "./transfer-entry";
import { NotKnown } from "./withdraw-dialog";
import { useWithdrawalRuns } from "./withdrawal-runs";

export function WithdrawalsPanel({ halted }: { halted: boolean }): ReactElement {
  const withdrawals = useWithdrawals();
  const known = new Set(withdrawals.items?.map((each) => each.withdrawal_id));
  const unknown = useWithdrawalRuns().filter((run) => run.stage === "unknown" && !known.has(run.withdrawalId ?? ""));
  return (
    <section className="panel" aria-labelledby="funds-withdrawals">
      <header className="panel-head">
        <h2 id="funds-withdrawals">Withdrawals</h2>
        <a href="/v1/withdrawals.csv" download>
          CSV
        </a>
      </header>
      <div className="panel-body flush">
        {unknown.map((run) => (
          <div key={run.id} className="funds-arrivals">
            <NotKnown run={run} />
          </div>
        ))}
        {withdrawals.items === null ? (
          <ListState list={withdrawals} />
        ) : withdrawals.items.length === 0 ? (
          <Empty icon="arrow-up" title="No withdrawals yet" detail="What you withdraw is shown here, step by step, until it is paid." />
        ) : (
          <ul className="entries">
            {withdrawals.items.map((item) => (
              <WithdrawalEntry key={item.withdrawal_id} item={item} halted={halted} />
            ))}
          </ul>
        )}
        <MoreButton list={withdrawals} />
      </div>
    </section>
  );
}

function WithdrawalEntry({ item, halted }: { item: Withdrawal; halted: boolean }): ReactElement {
  const confirmations = useConfirmations(item);
  const chainId = useDeployment().data?.chain_id;
  return (
    <TransferEntry
      amount={item.amount}
      asset={item.asset}
      timeMs={item.requested_ms}
      status={statusOf(item)}
      steps={withdrawalSteps(item, confirmations, halted)}
      isOver={isFinal(item) && item.outcome !== "claimable"}
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
      {item.outcome === "claimable" && <ClaimButton asset={item.asset} />}
    </TransferEntry>
  );
}

function statusOf(item: Withdrawal): TransferEntryProps["status"] {
  switch (item.status) {
    case "settled":
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
