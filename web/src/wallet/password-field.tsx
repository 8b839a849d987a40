/** A password, which can be looked at while it is typed. */

import { type ReactElement, type ReactNode, useState } from "react";

import { IconButton } from "../ui/button";
import { Field } from "../ui/field";
import { TextInput } from "../ui/text-input";

export interface PasswordFieldProps {
  value: string;
  onChange(value: string): void;
  /** "new": password managers offer one and keep it */
  use: "new" | "current" | "other";
  label?: string;
  hint?: ReactNode;
  error?: ReactNode;
  autoFocus?: boolean;
}

const AUTOCOMPLETE = { new: "new-password", current: "current-password", other: "off" } as const;

export function PasswordField(props: PasswordFieldProps): ReactElement {
  const { value, onChange, use, label = "Password", hint, error, autoFocus = false } = props;
  const [shown, setShown] = useState(false);
  const toggle = (
    <IconButton
      icon="eye"
      label={shown ? "Hide what is typed" : "Show what is typed"}
      aria-pressed={shown}
      onClick={() => setShown(!shown)}
    />
  );
  return (
    <Field label={label} hint={hint} error={error}>
      <TextInput
        value={value}
        onChange={onChange}
        type={shown ? "text" : "password"}
        autoComplete={AUTOCOMPLETE[use]}
        autoCapitalize="none"
        autoFocus={autoFocus}
        data-autofocus={autoFocus || undefined}
        mono={shown}
        suffix={toggle}
      />
    </Field>
  );
}

/** Which of the browser's passwords it is; for password managers, not for people. */
export function PasswordOwner({ name }: { name: string }): ReactElement {
  return <input className="visually-hidden" type="text" autoComplete="username" value={name} readOnly tabIndex={-1} aria-hidden="true" />;
}
