/** Who is signed in, and the way in and out. */

import { lazy, type ReactElement, Suspense, useState } from "react";

import { Link } from "../router";
import { useSession } from "../session";
import { Button } from "../ui/button";
import { CopyButton } from "../ui/copy-button";
import { shortHash } from "../ui/hash";
import { Icon } from "../ui/icon";
import { Menu } from "../ui/menu";
import { toast } from "../ui/toast";
import { keyEndText, useLeave, useLock } from "../wallet/lock";
import { useWalletState, walletOf } from "../wallet/wallets";
import { useCommand } from "./commands";

// Signing in brings the wallet's code with it: it is loaded when somebody wants to.
const loadStartDialog = () => import("../onboarding/start-dialog");
const StartDialog = lazy(() => loadStartDialog().then((module) => ({ default: module.StartDialog })));

export function Account(): ReactElement {
  const { status, me } = useSession();
  if (status === "unknown") return <span className="account-room" aria-hidden="true" />;
  return status === "signed-in" && me !== null ? <AccountMenu address={me.address} /> : <StartButton />;
}

function StartButton(): ReactElement {
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);

  async function start(): Promise<void> {
    setBusy(true);
    try {
      await loadStartDialog();
      setOpen(true);
    } catch {
      // No connection, or the exchange has a newer app than this page.
      toast("error", "The wallet could not be loaded", "Load the page anew and try again.");
    } finally {
      setBusy(false);
    }
  }
  function loadEarly(): void {
    loadStartDialog().catch(() => undefined); // said when it is needed
  }
  useCommand({
    id: "start",
    title: "Start trading",
    group: "Account",
    keywords: "sign in wallet login unlock",
    run: () => void start(),
  });
  return (
    <>
      <Button
        kind="primary"
        className="start-button"
        busy={busy}
        data-tour="start"
        onPointerEnter={loadEarly}
        onFocus={loadEarly}
        onClick={() => void start()}
      >
        Start trading
      </Button>
      {open && (
        <Suspense fallback={null}>
          <StartDialog open onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}

function AccountMenu({ address }: { address: string }): ReactElement {
  const lock = useLock();
  const leave = useLeave();
  const isOfThisBrowser = walletOf(useWalletState().wallets, address) !== null;

  async function signOutNow(): Promise<void> {
    const { key, error } = await leave();
    if (error !== null) notTold(keyEndText(key));
    else toast(key.kind === "left" ? "error" : "ok", "Signed out", keyEndText(key));
  }
  function lockNow(): void {
    lock().then(() => toast("ok", "Wallet locked"), () => notTold());
  }
  useCommand({ id: "sign-out", title: "Sign out", group: "Account", keywords: "log out leave", run: () => void signOutNow() });
  useCommand(isOfThisBrowser ? { id: "lock", title: "Lock wallet", group: "Account", run: lockNow } : null);

  const button = (
    <>
      <span className="account-sign" aria-hidden="true">
        <Icon name="user" size={14} />
      </span>
      <span className="mono account-address">{shortHash(address)}</span>
      <Icon name="chevron-down" size={12} />
    </>
  );
  return (
    <Menu button={button} label={`Account ${shortHash(address)}`} className="account-button">
      {(close) => (
        <>
          <div className="menu-head">
            <p className="small muted">Signed in as</p>
            <div className="row spread">
              <span className="mono" title={address}>
                {shortHash(address)}
              </span>
              <CopyButton value={address} label="Copy address" />
            </div>
          </div>
          <Link to="/portfolio" onClick={close}>
            <Icon name="portfolio" />
            Portfolio
          </Link>
          <Link to="/wallet" onClick={close}>
            <Icon name="wallet" />
            Wallet
          </Link>
          <Link to="/settings" onClick={close}>
            <Icon name="settings" />
            Settings
          </Link>
          {isOfThisBrowser && (
            <button
              type="button"
              onClick={() => {
                close();
                lockNow();
              }}
            >
              <Icon name="lock" />
              Lock wallet
            </button>
          )}
          <button
            type="button"
            onClick={() => {
              close();
              void signOutNow();
            }}
          >
            <Icon name="sign-out" />
            Sign out
          </button>
        </>
      )}
    </Menu>
  );
}

function notTold(ofKey = ""): void {
  toast(
    "error",
    "The exchange could not be told",
    `As soon as it answers, this page shows that you are still signed in. Sign out then. ${ofKey}`.trim(),
  );
}
