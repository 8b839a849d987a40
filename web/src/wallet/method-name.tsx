/** The name of a way to unlock; that of a passkey can be changed where it stands. */

import { type FormEvent, type KeyboardEvent, type ReactElement, useEffect, useRef, useState } from "react";

import { IconButton } from "../ui/button";
import { Field } from "../ui/field";
import { TextInput } from "../ui/text-input";
import type { Method, Wallet } from "../vault/record";
import { cleanName, MAX_NAME_CHARS } from "./passkey-name";
import { openVault } from "./wallets";
import { messageOf } from "./words";

export function MethodName({ wallet, method }: { wallet: Wallet; method: Method }): ReactElement {
  const [isOpen, setOpen] = useState(false);
  const line = useRef<HTMLParagraphElement>(null);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && !isOpen) line.current?.querySelector("button")?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  if (isOpen) return <NameForm wallet={wallet} method={method} onClose={() => setOpen(false)} />;
  return (
    <p ref={line} className="row tight">
      <span className="strong break">{method.label}</span>
      {method.kind === "passkey" && (
        <IconButton icon="edit" size={14} label={`Rename ${method.label}`} onClick={() => setOpen(true)} />
      )}
    </p>
  );
}

interface NameFormProps {
  wallet: Wallet;
  method: Method;
  onClose(): void;
}

function NameForm({ wallet, method, onClose }: NameFormProps): ReactElement {
  const [text, setText] = useState(method.label);
  const [problem, setProblem] = useState<string | null>(null);

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    const name = cleanName(text);
    if (name === null) return setProblem("Give it a name");
    try {
      await (await openVault()).renamePasskey(wallet.address, method.id, name);
      onClose();
    } catch (error) {
      setProblem(messageOf(error));
    }
  }

  function leave(event: KeyboardEvent): void {
    if (event.key === "Escape") onClose();
  }

  return (
    <form className="name-form" onSubmit={(event) => void submit(event)} onKeyDown={leave}>
      <Field label="Name of the passkey" hideLabel error={problem}>
        <TextInput
          value={text}
          onChange={(next) => {
            setText(next);
            setProblem(null);
          }}
          maxLength={MAX_NAME_CHARS}
          autoFocus
          onFocus={(event) => event.target.select()}
        />
      </Field>
      <IconButton type="submit" icon="check" label="Save the name" />
      <IconButton icon="close" label="Leave it as it is" onClick={onClose} />
    </form>
  );
}
