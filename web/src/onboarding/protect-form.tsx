/** A name, and what unlocks the wallet: a passkey where the device has them, else a password. */

import "./onboarding.css";

import { type FormEvent, type ReactElement, useEffect, useState } from "react";

import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Skeleton } from "../ui/loading";
import { TextInput } from "../ui/text-input";
import { PasskeyWithoutPrf } from "../vault/errors";
import { passkeySupport, type PasskeySupport } from "../vault/passkey";
import type { NewMethod } from "../vault/vault";
import { newPasskeyName } from "../wallet/passkey-name";
import { PasswordOwner } from "../wallet/password-field";
import { Progress } from "../wallet/unlock";
import { useWalletState } from "../wallet/wallets";
import { messageOf } from "../wallet/words";
import { NewPassword } from "./new-password";
import { isAcceptable, strengthOf } from "./password-strength";
import { newWalletName } from "./wallet-name";

export interface ProtectFormProps {
  /** On the button that ends it with a password: "Make wallet" */
  verb: string;
  onProtect(name: string, method: NewMethod): Promise<void>;
}

const MAX_NAME_CHARS = 40;

export function ProtectForm({ verb, onProtect }: ProtectFormProps): ReactElement {
  const [support, setSupport] = useState<PasskeySupport | null>(null);
  const [chosen, setChosen] = useState<NewMethod["kind"] | null>(null);
  const { wallets } = useWalletState();
  const [proposed] = useState(() => newWalletName(wallets.map((wallet) => wallet.name)));
  const [name, setName] = useState(proposed);
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const [busy, setBusy] = useState(false);
  const [progress, setProgress] = useState(0);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => void passkeySupport().then(setSupport), []);

  async function protect(method: NewMethod): Promise<void> {
    setBusy(true);
    setProgress(0);
    setProblem(null);
    try {
      await onProtect(name.trim() === "" ? proposed : name.trim(), method);
    } catch (error) {
      setProblem(messageOf(error));
      if (error instanceof PasskeyWithoutPrf) setChosen("password");
    } finally {
      setBusy(false);
    }
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (busy) return;
    if (method === "passkey") return void protect({ kind: "passkey", label: newPasskeyName([]) });
    setTried(true);
    if (isAcceptable(password)) void protect({ kind: "password", password, onProgress: setProgress });
  }

  if (support === null) return <Skeleton height="180px" />;
  const method = chosen ?? (support === "platform" ? "passkey" : "password");
  const other = method === "passkey" ? "password" : "passkey";
  return (
    <form className="stack" onSubmit={submit}>
      <Field label="Wallet name" hint="Only you see it.">
        <TextInput value={name} onChange={setName} maxLength={MAX_NAME_CHARS} disabled={busy} />
      </Field>
      {method === "password" ? (
        <>
          <PasswordOwner name={name} />
          <NewPassword
            value={password}
            onChange={setPassword}
            error={tried && !isAcceptable(password) ? strengthOf(password).text : null}
            autoFocus
          />
          <p className="muted small">It stays in this browser. Nobody can reset it: the recovery phrase is your way back.</p>
          <Progress busy={busy} fraction={progress} />
        </>
      ) : (
        <p className="muted">
          A passkey unlocks the wallet with your finger, face or PIN. The key itself never leaves this browser.
        </p>
      )}
      {problem !== null && (
        <p className="note bad" role="alert">
          {problem}
        </p>
      )}
      {method === "password" ? (
        <Button kind="primary" size="l" type="submit" block busy={busy}>
          {verb}
        </Button>
      ) : (
        <Button kind="primary" size="l" type="submit" icon="passkey" block busy={busy} autoFocus data-autofocus>
          Use a passkey
        </Button>
      )}
      {support !== "none" && (
        <Button kind="plain" disabled={busy} onClick={() => setChosen(other)}>
          {other === "password" ? "Use a password instead" : "Use a passkey instead"}
        </Button>
      )}
    </form>
  );
}
