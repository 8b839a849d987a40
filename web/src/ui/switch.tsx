/** On or off, at once. */

import "./choices.css";

import { type ReactElement, type ReactNode, useId } from "react";

export interface SwitchProps {
  checked: boolean;
  onChange(checked: boolean): void;
  label: ReactNode;
  hint?: ReactNode;
  disabled?: boolean | undefined;
}

export function Switch({ checked, onChange, label, hint, disabled = false }: SwitchProps): ReactElement {
  const id = useId();
  return (
    <div className="switch-row">
      <div className="grow">
        <label htmlFor={id}>{label}</label>
        {hint !== undefined && (
          <p id={`${id}-hint`} className="field-hint">
            {hint}
          </p>
        )}
      </div>
      <button
        type="button"
        role="switch"
        id={id}
        className="switch"
        aria-checked={checked}
        aria-describedby={hint === undefined ? undefined : `${id}-hint`}
        disabled={disabled}
        onClick={() => onChange(!checked)}
      />
    </div>
  );
}

export interface CheckboxProps {
  checked: boolean;
  onChange(checked: boolean): void;
  label: ReactNode;
  disabled?: boolean | undefined;
}

/** For what is only said with the rest of a form: "I wrote it down". */
export function Checkbox({ checked, onChange, label, disabled = false }: CheckboxProps): ReactElement {
  return (
    <label className="checkbox">
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.target.checked)}
      />
      <span>{label}</span>
    </label>
  );
}
