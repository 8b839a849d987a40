/** The ways to unlock a wallet: one password at most, any number of passkeys, never none. */

import { type ReactElement, useEffect, useState } from "react";

import { NewPassword } from "../onboarding/new-password";
import { isAcceptable, strengthOf } from "../onboarding/password-strength";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Icon } from "../ui/icon";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import { passkeySupport, type PasskeySupport } from "../vault/passkey";
import type { Method, Wallet } from "../vault/record";
import { MethodName } from "./method-name";
import { cleanName, MAX_NAME_CHARS, newPasskeyName } from "./passkey-name";
import { UnlockDialog } from "./unlock-dialog";
import { openVault } from "./wallets";

const SINCE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

type Doing = { what: "passkey" } | { what: "password" } | { what: "remove"; method: Method };

export function MethodsPanel({ wallet }: { wallet: Wallet }): ReactElement {
  const [doing, setDoing] = useState<Doing | null>(null);
  const [support, setSupport] = useState<PasskeySupport>("none");
  useEffect(() => void passkeySupport().then(setSupport), []);
  const hasPassword = wallet.methods.some((method) => method.kind === "password");
  const close = (): void => setDoing(null);

  return (
    <section className="panel" aria-labelledby="wallet-methods">
      <header className="panel-head">
        <h2 id="wallet-methods">What unlocks it</h2>
      </header>
      <ul className="wallet-list">
        {wallet.methods.map((method) => (
          <li key={method.id}>
            <Icon name={method.kind === "passkey" ? "passkey" : "key"} size={20} />
            <div className="grow">
              <MethodName wallet={wallet} method={method} />
              <p className="muted small">
                {method.kind === "passkey" ? "Passkey, since" : "Since"} {SINCE.format(method.createdMs)}
              </p>
            </div>
            {wallet.methods.length > 1 && (
              <Button size="s" onClick={() => setDoing({ what: "remove", method })}>
                Remove<span className="visually-hidden"> {method.label}</span>
              </Button>
            )}
          </li>
        ))}
      </ul>
      <div className="panel-body row wrap">
        {support !== "none" && (
          <Button icon="passkey" onClick={() => setDoing({ what: "passkey" })}>
            Add a passkey
          </Button>
        )}
        <Button icon="key" onClick={() => setDoing({ what: "password" })}>
          {hasPassword ? "Change the password" : "Add a password"}
        </Button>
      </div>
      {doing?.what === "passkey" && <AddPasskey wallet={wallet} onClose={close} />}
      {doing?.what === "password" && <SetPassword wallet={wallet} hasPassword={hasPassword} onClose={close} />}
      {doing?.what === "remove" && <RemoveMethod wallet={wallet} method={doing.method} onClose={close} />}
    </section>
  );
}

interface DoingProps {
  wallet: Wallet;
  onClose(): void;
}

function AddPasskey({ wallet, onClose }: DoingProps): ReactElement {
  const [proposed] = useState(() => newPasskeyName(wallet.methods.map((method) => method.label)));
  const [name, setName] = useState(proposed);
  return (
    <UnlockDialog
      title="Add a passkey"
      wallet={wallet}
      verb="Unlock and add"
      onClose={onClose}
      onUnlock={async (by) => {
        await (await openVault()).addMethod(wallet.address, by, {
          kind: "passkey",
          label: cleanName(name) ?? proposed,
        });
        toast("ok", "Passkey added");
        onClose();
      }}
    >
      <Field label="Name of the passkey" hint="Only you see it: where it is kept, so that you find it again.">
        <TextInput value={name} onChange={setName} maxLength={MAX_NAME_CHARS} />
      </Field>
      <p>First show that the wallet is yours. Then your device makes the passkey.</p>
    </UnlockDialog>
  );
}

function SetPassword({ wallet, hasPassword, onClose }: DoingProps & { hasPassword: boolean }): ReactElement {
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  return (
    <UnlockDialog
      title={hasPassword ? "Change the password" : "Add a password"}
      wallet={wallet}
      verb="Save"
      autoFocus={false}
      onClose={onClose}
      onUnlock={async (by) => {
        setTried(true);
        if (!isAcceptable(password)) return;
        await (await openVault()).addMethod(wallet.address, by, { kind: "password", password });
        toast("ok", hasPassword ? "Password changed" : "Password added");
        onClose();
      }}
    >
      <NewPassword
        label="New password"
        value={password}
        onChange={setPassword}
        error={tried && !isAcceptable(password) ? strengthOf(password).text : null}
        autoFocus
      />
      <p className="muted">{hasPassword ? "And the present one, or a passkey:" : "And what unlocks the wallet now:"}</p>
    </UnlockDialog>
  );
}

function RemoveMethod({ wallet, method, onClose }: DoingProps & { method: Method }): ReactElement {
  return (
    <UnlockDialog
      title={`Remove: ${method.label}`}
      wallet={wallet}
      verb="Remove"
      kind="danger"
      onClose={onClose}
      onUnlock={async (by) => {
        await (await openVault()).removeMethod(wallet.address, by, method.id);
        toast("ok", `${method.label} removed`);
        onClose();
      }}
    >
      <p>It no longer unlocks this wallet here. Copies of this browser’s data made before can still be opened with it.</p>
    </UnlockDialog>
  );
}
