/** A wallet that was made elsewhere: by its phrase or its keystore file, which then gets a lock of its own here. */

import { type ChangeEvent, type FormEvent, type ReactElement, useEffect, useRef, useState } from "react";
import type { Address } from "viem";

import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { Hash } from "../ui/hash";
import { Segments } from "../ui/segments";
import { TextArea } from "../ui/text-input";
import { wipe } from "../vault/bytes";
import { BadKeystore, BadPhrase, WrongKeystorePassword } from "../vault/errors";
import { MAX_TEXT_CHARS, parseKeystore, readKeystore } from "../vault/keystore";
import { entropyOf } from "../vault/phrase";
import { accountOf, type Secret } from "../vault/secret";
import { PasswordField } from "../wallet/password-field";
import { Progress } from "../wallet/unlock";
import { messageOf } from "../wallet/words";
import { Back } from "./back";
import { ProtectForm } from "./protect-form";
import type { StepProps } from "./steps";
import { useStoreWallet } from "./store-wallet";

interface Found {
  secret: Secret;
  address: Address;
}

export function ImportStep(props: StepProps): ReactElement {
  const store = useStoreWallet(props);
  const [source, setSource] = useState<"phrase" | "keystore">("phrase");
  const [found, setFound] = useState<Found | null>(null);
  const held = useRef<Secret | null>(null);
  useEffect(() => () => wipe(held.current?.bytes), []);

  async function take(secret: Secret): Promise<void> {
    const { address } = await accountOf(secret);
    held.current = secret;
    setFound({ secret, address });
  }

  if (found !== null) {
    return (
      <div className="stack">
        <p>
          Found <Hash value={found.address} label="address" />. Choose what unlocks it in this browser.
        </p>
        <ProtectForm
          verb="Keep it here"
          onProtect={(name, method) => store({ secret: found.secret, name, backupConfirmed: true, method })}
        />
        <Back onStep={props.onStep} />
      </div>
    );
  }
  return (
    <div className="stack">
      <Segments<"phrase" | "keystore">
        label="What you have"
        value={source}
        onChange={setSource}
        even
        options={[
          { value: "phrase", label: "Phrase" },
          { value: "keystore", label: "Keystore file" },
        ]}
      />
      {source === "phrase" ? <PhraseForm onSecret={take} /> : <KeystoreForm onSecret={take} />}
      <Back onStep={props.onStep} />
    </div>
  );
}

interface FormProps {
  onSecret(secret: Secret): Promise<void>;
}

function PhraseForm({ onSecret }: FormProps): ReactElement {
  const [text, setText] = useState("");
  const [error, setError] = useState<string | null>(null);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    try {
      await onSecret({ kind: "phrase", bytes: entropyOf(text) });
    } catch (problem) {
      if (!(problem instanceof BadPhrase)) throw problem;
      setError(problem.message);
    }
  }

  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <Field label="Recovery phrase" hint="12 words or more, in English. You can paste them all at once." error={error}>
        <TextArea
          value={text}
          onChange={(value) => {
            setText(value);
            setError(null);
          }}
          mono
          autoFocus
          data-autofocus
          autoCapitalize="none"
        />
      </Field>
      <Button kind="primary" size="l" type="submit" block>
        Continue
      </Button>
    </form>
  );
}

function KeystoreForm({ onSecret }: FormProps): ReactElement {
  const [text, setText] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<{ at: "file" | "password"; text: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const [progress, setProgress] = useState(0);
  const picker = useRef<HTMLInputElement>(null);

  function change(value: string): void {
    setText(value);
    setError(null);
  }

  /** One that is far too long is not even read: it could fill the memory. */
  async function choose({ target }: ChangeEvent<HTMLInputElement>): Promise<void> {
    const file = target.files?.[0];
    if (file === undefined) return;
    try {
      if (file.size > MAX_TEXT_CHARS) throw new BadKeystore("This file is too long for a keystore");
      change(await file.text());
    } catch (problem) {
      setError({ at: "file", text: messageOf(problem) });
    } finally {
      target.value = ""; // so that the same one, changed, can be chosen again
    }
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    setProgress(0);
    setError(null);
    try {
      parseKeystore(text);
      await onSecret({ kind: "key", bytes: await readKeystore(text, password, setProgress) });
    } catch (problem) {
      setError({ at: problem instanceof WrongKeystorePassword ? "password" : "file", text: messageOf(problem) });
    } finally {
      setBusy(false);
    }
  }

  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <Field
        label="Keystore file"
        hint="Choose the file, or paste what is in it."
        error={error?.at === "file" ? error.text : null}
        aside={
          <Button kind="plain" size="s" icon="upload" onClick={() => picker.current?.click()}>
            Choose file
          </Button>
        }
      >
        <TextArea value={text} onChange={change} mono rows={4} />
      </Field>
      <input
        ref={picker}
        type="file"
        hidden
        aria-label="Keystore file to read"
        accept=".json,application/json,text/plain"
        onChange={(event) => void choose(event)}
      />
      <PasswordField
        value={password}
        onChange={setPassword}
        use="other"
        label="Password of the file"
        error={error?.at === "password" ? error.text : null}
      />
      <Progress busy={busy} fraction={progress} />
      <Button kind="primary" size="l" type="submit" block busy={busy}>
        Continue
      </Button>
    </form>
  );
}
