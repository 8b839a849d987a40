/** Unlocking a wallet of this browser: by passkey, or by password. Whoever asks puts the fields and the button in place. */

import "./wallet.css";

import { type FormEvent, type ReactElement, useId, useState } from "react";

import { Button, type ButtonProps } from "../ui/button";
import { WrongPassword } from "../vault/errors";
import type { Wallet } from "../vault/record";
import type { Unlock } from "../vault/vault";
import { PasswordField, PasswordOwner } from "./password-field";
import { SignatureRefused } from "./signer";
import { messageOf } from "./words";

export interface UnlockUse {
  wallet: Wallet;
  /** What the button does: "Sign" */
  verb: string;
  kind?: ButtonProps["kind"];
  block?: boolean;
  disabled?: boolean;
  autoFocus?: boolean;
  /** Unlocks and does it. What it throws is shown here. */
  onUnlock(unlock: Unlock): Promise<void>;
}

export interface UnlockParts {
  fields: ReactElement;
  button: ReactElement;
  busy: boolean;
}

export function useUnlock(use: UnlockUse): UnlockParts {
  const { wallet, verb, kind = "primary", block = false, disabled = false, autoFocus = true, onUnlock } = use;
  const formId = useId();
  const kinds = new Set(wallet.methods.map((method) => method.kind));
  const [chosen, setChosen] = useState<Unlock["kind"] | null>(null);
  const method = chosen !== null && kinds.has(chosen) ? chosen : kinds.has("passkey") ? "passkey" : "password";
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [progress, setProgress] = useState(0);
  const [wrong, setWrong] = useState<{ where: "password" | "all"; text: string } | null>(null);

  async function run(unlock: Unlock): Promise<void> {
    setBusy(true);
    setProgress(0);
    setWrong(null);
    try {
      await onUnlock(unlock);
    } catch (error) {
      if (!(error instanceof SignatureRefused)) {
        setWrong({ where: error instanceof WrongPassword ? "password" : "all", text: messageOf(error) });
      }
    } finally {
      setBusy(false);
    }
  }

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (busy || disabled) return;
    if (password === "") setWrong({ where: "password", text: "Type the password of this wallet" });
    else void run({ kind: "password", password, onProgress: setProgress });
  }

  function switchTo(other: Unlock["kind"]): ReactElement | null {
    if (!kinds.has(other)) return null;
    const label = other === "passkey" ? "Use a passkey instead" : "Use the password instead";
    return (
      <Button kind="plain" size="s" disabled={busy} onClick={() => setChosen(other)}>
        {label}
      </Button>
    );
  }

  const fields =
    method === "password" ? (
      <form id={formId} className="stack" onSubmit={submit}>
        <PasswordOwner name={wallet.name} />
        <PasswordField
          value={password}
          onChange={setPassword}
          use="current"
          autoFocus={autoFocus}
          error={wrong?.where === "password" ? wrong.text : null}
        />
        <Progress busy={busy} fraction={progress} />
        {switchTo("passkey")}
      </form>
    ) : (
      <div className="stack">
        <p className="muted">Your device asks for your finger, face or PIN.</p>
        {switchTo("password")}
      </div>
    );

  const shared = { kind, block, busy, disabled };
  const button =
    method === "password" ? (
      <Button {...shared} type="submit" form={formId}>
        {verb}
      </Button>
    ) : (
      <Button {...shared} icon="passkey" autoFocus={autoFocus} data-autofocus={autoFocus || undefined} onClick={() => void run({ kind: "passkey" })}>
        {`${verb} with passkey`}
      </Button>
    );

  return {
    busy,
    button,
    fields: (
      <div className="stack">
        {fields}
        {wrong?.where === "all" && (
          <p className="note bad" role="alert">
            {wrong.text}
          </p>
        )}
      </div>
    ),
  };
}

/** Making a key of a password takes about a second; its room is kept free. */
export function Progress({ busy, fraction }: { busy: boolean; fraction: number }): ReactElement {
  return (
    <progress
      className="key-progress"
      value={fraction}
      max={1}
      aria-label="Making the key of the password"
      style={{ visibility: busy ? "visible" : "hidden" }}
    />
  );
}
