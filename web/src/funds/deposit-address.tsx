/** The personal deposit address: hidden until its owner's wallet is backed up, as money would come after it. */

import { useQuery } from "@tanstack/react-query";
import type { ReactElement } from "react";

import { api, ApiProblem, type Schemas } from "../api/client";
import { useDeployment } from "../api/deployment";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy-button";
import { Loading } from "../ui/loading";
import { Money } from "../ui/money";
import { QrCode } from "../ui/qr-code";
import { useBackup } from "../wallet/backup";
import { inWords } from "./problem-text";

type Answer = Schemas["DepositAddressAnswer"];

export function DepositAddress(): ReactElement {
  const { loaded, confirmed, confirm } = useBackup();
  if (!loaded) return <Loading />;
  if (confirmed) return <Address />;
  return (
    <div className="stack">
      <p className="note warn">
        Your deposit address is hidden until your wallet is backed up. If this browser loses its data and there is no
        backup, what is deposited can never be withdrawn.
      </p>
      <Button kind="primary" size="l" block onClick={() => confirm()}>
        Back up your wallet
      </Button>
    </div>
  );
}

/** Asked for again and again: what has arrived at the address is in it. */
export function useDepositAddress(everyMs: number): { answer: Answer | undefined; error: Error | null } {
  const { status, me } = useSession();
  const { data, error } = useQuery({
    queryKey: ["private", "deposit-address", me?.address],
    enabled: status === "signed-in",
    queryFn: () => api.get<Answer>("/v1/deposit-address"),
    refetchInterval: (query) => (query.state.error === null ? everyMs : false),
  });
  return { answer: data, error };
}

function Address(): ReactElement {
  const { answer, error } = useDepositAddress(3_000);
  const deployment = useDeployment().data;
  if (error instanceof ApiProblem && error.code === "no_deposit_addresses") {
    return <p className="note">This exchange has no personal deposit addresses. Deposit from your wallet instead.</p>;
  }
  if (answer === undefined) return error === null ? <Loading /> : <p className="note bad">{inWords(error).text}</p>;
  const symbols = answer.assets.map((each) => each.asset);
  return (
    <div className="stack">
      <div className="deposit-address">
        <QrCode value={answer.address} label="Deposit address" />
        <div className="stack tight">
          <span className="muted small">Your deposit address</span>
          <output className="mono break deposit-address-text">{answer.address}</output>
          <div>
            <CopyButton value={answer.address} label="Copy address" wide />
          </div>
        </div>
      </div>
      <Arrivals arrivals={answer.arrivals} />
      <dl className="facts">
        <div>
          <dt>Chain</dt>
          <dd className="num">{answer.chain_id}</dd>
        </div>
        {answer.assets.map((each) => (
          <div key={each.asset}>
            <dt>Least of {each.asset}</dt>
            <dd><Money value={each.minimum} asset={each.asset} /></dd>
          </div>
        ))}
        {deployment !== undefined && (
          <div>
            <dt>Credited</dt>
            <dd>after it was moved into the vault{deployment.confirmations === null ? ", once final" : ` and ${deployment.confirmations} confirmations`}</dd>
          </div>
        )}
      </dl>
      <p className="note warn">
        Send only {listOf(symbols)}, and only on chain {answer.chain_id}. Anything else is not credited. Less than the
        least amount waits at the address until more arrives.
      </p>
    </div>
  );
}

export function Arrivals({ arrivals }: { arrivals: Answer["arrivals"] }): ReactElement | null {
  if (arrivals.length === 0) return null;
  return (
    <ul className="stack tight" aria-label="Arrived at your deposit address">
      {arrivals.map((each) => (
        <li key={each.asset} className="note">
          <Money value={each.amount} asset={each.asset} /> {each.status === "pending" ? "has arrived, and is moved into the vault next." : "has arrived, and waits: it is less than the least amount."}
        </li>
      ))}
    </ul>
  );
}

function listOf(symbols: string[]): string {
  if (symbols.length < 2) return symbols[0] ?? "";
  return `${symbols.slice(0, -1).join(", ")} and ${symbols.at(-1) ?? ""}`;
}
