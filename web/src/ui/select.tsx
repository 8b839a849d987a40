/** One of some: the browser's own control, which works with every keyboard and on every phone. */

import "./fields.css";

import type { ComponentProps, ReactElement } from "react";

import { useField } from "./field";
import { Icon } from "./icon";

export interface Choice<V extends string = string> {
  value: V;
  label: string;
  disabled?: boolean | undefined;
}

export interface SelectProps<V extends string>
  extends Omit<ComponentProps<"select">, "value" | "onChange" | "children" | "size"> {
  value: V;
  options: readonly Choice<V>[];
  onChange(value: V): void;
  small?: boolean | undefined;
}

export function Select<V extends string>(props: SelectProps<V>): ReactElement {
  const { value, options, onChange, small = false, className, ...rest } = props;
  const wiring = useField();
  return (
    <span className={["select", small && "small", className].filter(Boolean).join(" ")}>
      <select
        {...wiring}
        {...rest}
        value={value}
        onChange={(event) => {
          const chosen = options.find((option) => option.value === event.target.value);
          if (chosen !== undefined) onChange(chosen.value);
        }}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value} disabled={option.disabled}>
            {option.label}
          </option>
        ))}
      </select>
      <Icon name="chevron-down" size={14} />
    </span>
  );
}
