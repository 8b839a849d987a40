/** The wallet's page: whose it is, whether it is backed up, what unlocks it, and how it leaves. */

import "./wallet.css";

import { lazy, type ReactElement, Suspense, useState } from "react";

import type { Step } from "../onboarding/steps";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { Hash } from "../ui/hash";
import { Icon } from "../ui/icon";
import { Loading } from "../ui/loading";
import { toast } from "../ui/toast";
import type { Wallet } from "../vault/record";
import { DamagedWallets } from "./damaged";
import { DeletePanel } from "./delete-panel";
import { ExportPanel } from "./export-panel";
import { useLock } from "./lock";
import { MethodsPanel } from "./methods-panel";
import { ask } from "./requests";
import { useWalletState, walletOf } from "./wallets";
import { messageOf } from "./words";

const StartDialog = lazy(() => import("../onboarding/start-dialog").then((module) => ({ default: module.StartDialog })));

export default function WalletPage(): ReactElement {
  const { status, me } = useSession();
  const { loaded, wallets, damaged, unreadable } = useWalletState();
  const [starting, setStarting] = useState<{ first?: Step } | null>(null);
  const start = (): void => setStarting({});
  const own = walletOf(wallets, me?.address);
  const isOwnDamaged = damaged.some((wallet) => wallet.address === me?.address);
  const others = wallets.filter((wallet) => wallet !== own);
  return (
    <div className="page narrow">
      <header className="page-head">
        <h1>Wallet</h1>
        {own !== null && <LockButton />}
      </header>
      {!loaded || status === "unknown" ? (
        <Loading />
      ) : (
        <>
          <DamagedWallets onBring={() => setStarting({ first: "import" })} />
          {own !== null && <OwnWallet wallet={own} />}
          {own === null && me !== null && !isOwnDamaged && unreadable === null && <OutsideWallet address={me.address} />}
          {me === null && wallets.length === 0 && damaged.length === 0 && <NoWallet onStart={start} />}
          {others.length > 0 && <OtherWallets wallets={others} onUse={start} />}
          {me !== null || wallets.length > 0 || damaged.length > 0 ? (
            <Button kind="plain" icon="plus" className="back" onClick={start}>
              Make or bring another wallet
            </Button>
          ) : null}
        </>
      )}
      {starting !== null && (
        <Suspense>
          <StartDialog open first={starting.first} onClose={() => setStarting(null)} />
        </Suspense>
      )}
    </div>
  );
}

function LockButton(): ReactElement {
  const lock = useLock();
  const [busy, setBusy] = useState(false);
  async function onClick(): Promise<void> {
    setBusy(true);
    try {
      await lock();
    } catch (error) {
      toast("error", "Could not sign out at the exchange", messageOf(error));
    }
    setBusy(false);
  }
  return (
    <Button icon="lock" busy={busy} onClick={() => void onClick()}>
      Lock wallet
    </Button>
  );
}

function OwnWallet({ wallet }: { wallet: Wallet }): ReactElement {
  return (
    <>
      <section className="panel" aria-labelledby="wallet-own">
        <header className="panel-head">
          <h2 id="wallet-own">{wallet.name}</h2>
          <span className="badge accent">In this browser</span>
        </header>
        <div className="panel-body stack">
          <Hash value={wallet.address} label="address" full />
          <p className="muted small">
            This is your account’s name, not where to deposit: deposits to the exchange are under Funds.
          </p>
        </div>
      </section>
      <BackupPanel wallet={wallet} />
      <MethodsPanel wallet={wallet} />
      <ExportPanel wallet={wallet} />
      <DeletePanel wallet={wallet} />
    </>
  );
}

function BackupPanel({ wallet }: { wallet: Wallet }): ReactElement {
  const check = (): void => void ask<"backup">({ kind: "backup", address: wallet.address }).catch(() => undefined);
  return (
    <section className="panel" aria-labelledby="wallet-backup">
      <header className="panel-head">
        <h2 id="wallet-backup">Backup</h2>
        {wallet.backupConfirmed ? (
          <span className="badge good">
            <Icon name="check" size={12} /> Confirmed
          </span>
        ) : (
          <span className="badge warn">Not yet</span>
        )}
      </header>
      <div className="panel-body row wrap spread">
        {wallet.backupConfirmed ? (
          <p className="muted grow">If this device is lost, your backup opens the wallet on another one.</p>
        ) : (
          <p className="grow">If this device is lost now, so is the wallet. Write down its words: it takes two minutes.</p>
        )}
        {wallet.secretKind === "phrase" && (
          <Button kind={wallet.backupConfirmed ? "quiet" : "primary"} icon="shield" onClick={check}>
            {wallet.backupConfirmed ? "Check it again" : "Back up now"}
          </Button>
        )}
      </div>
    </section>
  );
}

function OutsideWallet({ address }: { address: string }): ReactElement {
  const { signer } = useWalletState();
  const name = signer !== null && signer.address === address ? signer.name : "A wallet outside of this page";
  return (
    <section className="panel" aria-labelledby="wallet-outside">
      <header className="panel-head">
        <h2 id="wallet-outside">{name}</h2>
        <span className="badge">Outside of this page</span>
      </header>
      <div className="panel-body stack">
        <Hash value={address} label="address" full />
        <p className="muted">Its keys, backup and password are that wallet’s own matter. This page only asks it to sign.</p>
      </div>
    </section>
  );
}

function NoWallet({ onStart }: { onStart(): void }): ReactElement {
  return (
    <section className="panel">
      <Empty
        icon="wallet"
        title="No wallet yet"
        detail="Your wallet is your account here. Make one in this browser, or bring the one that you have."
        action={
          <Button kind="primary" onClick={onStart}>
            Get a wallet
          </Button>
        }
      />
    </section>
  );
}

function OtherWallets({ wallets, onUse }: { wallets: readonly Wallet[]; onUse(): void }): ReactElement {
  return (
    <section className="panel" aria-labelledby="wallet-others">
      <header className="panel-head">
        <h2 id="wallet-others">Locked in this browser</h2>
      </header>
      <ul className="wallet-list">
        {wallets.map((wallet) => (
          <li key={wallet.address}>
            <Icon name="lock" size={20} />
            <div className="grow">
              <p className="strong">{wallet.name}</p>
              <Hash value={wallet.address} label="address" />
            </div>
            <Button size="s" onClick={onUse}>
              Unlock<span className="visually-hidden"> {wallet.name}</span>
            </Button>
          </li>
        ))}
      </ul>
    </section>
  );
}
