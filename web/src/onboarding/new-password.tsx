/** A password to be, with a word on its length. */

import "./onboarding.css";

import type { ReactElement } from "react";

import { PasswordField } from "../wallet/password-field";
import { strengthOf } from "./password-strength";

const LEVELS = { none: 0, short: 1, simple: 1, fair: 2, good: 3 } as const;

export interface NewPasswordProps {
  value: string;
  onChange(value: string): void;
  label?: string;
  error: string | null;
  autoFocus?: boolean;
}

export function NewPassword({ value, onChange, label = "Password", error, autoFocus = false }: NewPasswordProps): ReactElement {
  const strength = strengthOf(value);
  return (
    <div className="stack tight">
      <PasswordField
        value={value}
        onChange={onChange}
        use="new"
        label={label}
        hint={strength.text}
        error={error}
        autoFocus={autoFocus}
      />
      <div className="strength" data-level={LEVELS[strength.level]} aria-hidden="true">
        <span />
        <span />
        <span />
      </div>
    </div>
  );
}
