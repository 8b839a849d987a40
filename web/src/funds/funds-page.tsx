/** What the person has, and everything on its way in or out. */

import "./funds.css";

import { type ReactElement, useState } from "react";

import { useDeployment } from "../api/deployment";
import { useSession } from "../session";
import { useCommand } from "../shell/commands";
import { Button } from "../ui/button";
import { Loading } from "../ui/loading";
import { BalancesPanel } from "./balances-panel";
import { DepositDialog } from "./deposit-dialog";
import { DepositsPanel } from "./deposits-panel";
import { FaucetButton } from "./faucet-button";
import { SignedOut } from "./signed-out";
import { WithdrawDialog } from "./withdraw-dialog";
import { WithdrawalAddresses } from "./withdrawal-addresses";
import { WithdrawalsPanel } from "./withdrawals-panel";

type Open = { what: "deposit" | "withdraw"; asset?: string | undefined } | null;

export default function FundsPage(): ReactElement {
  const { status } = useSession();
  return (
    <div className="page funds-page">
      {status === "unknown" ? (
        <Loading />
      ) : status === "signed-out" ? (
        <SignedOut title="Funds" detail="Deposits, withdrawals and balances are shown once you have a wallet and are signed in." />
      ) : (
        <Funds />
      )}
    </div>
  );
}

function Funds(): ReactElement {
  const [open, setOpen] = useState<Open>(null);
  const halted = useDeployment().data?.withdrawals_halted === true;
  const deposit = (asset?: string) => setOpen({ what: "deposit", asset });
  const withdraw = (asset?: string) => setOpen({ what: "withdraw", asset });
  useCommand({ id: "deposit", title: "Deposit", group: "Funds", run: () => deposit() });
  useCommand({ id: "withdraw", title: "Withdraw", group: "Funds", run: () => withdraw() });
  const close = () => setOpen(null);
  return (
    <>
      <header className="page-head">
        <h1>Funds</h1>
        <div className="funds-actions">
          <FaucetButton onFunded={() => deposit()} />
          <Button kind="primary" icon="arrow-down" onClick={() => deposit()}>
            Deposit
          </Button>
          <Button icon="arrow-up" onClick={() => withdraw()}>
            Withdraw
          </Button>
        </div>
      </header>
      {halted && (
        <p className="note warn" role="status">
          Withdrawals are taken, but none is paid for now. One that is not paid by its deadline comes back whole.
        </p>
      )}
      <BalancesPanel onDeposit={deposit} onWithdraw={withdraw} />
      <div className="funds-columns">
        <DepositsPanel onDeposit={() => deposit()} />
        <WithdrawalsPanel halted={halted} />
      </div>
      <WithdrawalAddresses />
      <DepositDialog asset={open?.asset} open={open?.what === "deposit"} onClose={close} />
      <WithdrawDialog asset={open?.asset} open={open?.what === "withdraw"} onClose={close} />
    </>
  );
}
