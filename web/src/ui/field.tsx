/** A label with its control, a hint, and what is wrong with it; tied together for those who do not see them. */

import "./fields.css";

import { createContext, type ReactElement, type ReactNode, useContext, useId } from "react";

import { Icon } from "./icon";

interface FieldWiring {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
  "aria-required": true | undefined;
}

const Wiring = createContext<FieldWiring | null>(null);

/** The attributes that a control takes from the field around it; none outside of one. */
export function useField(): Partial<FieldWiring> {
  return useContext(Wiring) ?? {};
}

export interface FieldProps {
  label: ReactNode;
  hint?: ReactNode;
  /** What to mend; null, undefined or "" when nothing is wrong */
  error?: ReactNode;
  /** The label is read out, but not shown */
  hideLabel?: boolean | undefined;
  required?: boolean | undefined;
  /** At the right end of the label's line: a balance, a link */
  aside?: ReactNode;
  /** Keeps a line free for the hint or error, so that nothing moves when one comes */
  reserve?: boolean | undefined;
  children: ReactNode;
}

export function Field(props: FieldProps): ReactElement {
  const { label, hint, error, hideLabel = false, required = false, aside, reserve = false, children } = props;
  const id = useId();
  const wrong = error !== undefined && error !== null && error !== "" && error !== false;
  const hinted = hint !== undefined && hint !== null && hint !== "" && hint !== false;
  const described = wrong ? `${id}-error` : hinted ? `${id}-hint` : undefined;
  const wiring: FieldWiring = {
    id,
    "aria-describedby": described,
    "aria-invalid": wrong || undefined,
    "aria-required": required || undefined,
  };
  return (
    <div className={wrong ? "field wrong" : "field"}>
      <div className={hideLabel && aside === undefined ? "visually-hidden" : "field-head"}>
        <label htmlFor={id} className={hideLabel ? "visually-hidden" : undefined}>
          {label}
        </label>
        {aside !== undefined && <span className="field-aside">{aside}</span>}
      </div>
      <Wiring value={wiring}>{children}</Wiring>
      <div className={reserve ? "field-foot reserve" : "field-foot"}>
        {/* Only errors are read out as they come: hints may move with the market. */}
        <div aria-live="polite">
          {wrong && (
            <p id={`${id}-error`} className="field-error">
              <Icon name="alert" size={14} />
              <span>{error}</span>
            </p>
          )}
        </div>
        {hinted && !wrong && (
          <p id={`${id}-hint`} className="field-hint">
            {hint}
          </p>
        )}
      </div>
    </div>
  );
}
