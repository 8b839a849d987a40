/** One of a few, all in view: radio buttons that look like one control. */

import "./choices.css";

import { type ReactElement, type ReactNode, useId } from "react";

export interface SegmentsProps<V extends string> {
  value: V;
  options: readonly { value: V; label: ReactNode; disabled?: boolean }[];
  onChange(value: V): void;
  /** What is chosen here */
  label: string;
  even?: boolean | undefined;
}

export function Segments<V extends string>(props: SegmentsProps<V>): ReactElement {
  const { value, options, onChange, label, even = false } = props;
  const name = useId();
  return (
    <fieldset className={even ? "segments even" : "segments"}>
      <legend className="visually-hidden">{label}</legend>
      {options.map((option) => (
        <label key={option.value}>
          <input
            type="radio"
            name={name}
            value={option.value}
            checked={option.value === value}
            disabled={option.disabled}
            onChange={() => onChange(option.value)}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
