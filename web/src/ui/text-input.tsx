/** A line, or some lines, of text. With inputMode="decimal" only what an exact decimal is made of can be typed. */

import "./fields.css";

import type { ChangeEvent, ComponentProps, ReactElement, ReactNode } from "react";

import { cleanDecimal } from "./decimal-text";
import { useField } from "./field";

interface Shared {
  value: string;
  onChange(value: string): void;
  mono?: boolean | undefined;
}

export interface TextInputProps extends Shared, Omit<ComponentProps<"input">, "value" | "onChange" | "prefix"> {
  /** Stand in the box: "0x", "USDC", a button "Max" */
  prefix?: ReactNode;
  suffix?: ReactNode;
}

export function TextInput(props: TextInputProps): ReactElement {
  const { value, onChange, mono = false, prefix, suffix, className, inputMode = "text", ...rest } = props;
  const wiring = useField();
  const numeric = inputMode === "decimal" || inputMode === "numeric";
  function change(event: ChangeEvent<HTMLInputElement>): void {
    const input = event.target;
    const text = input.value;
    const next = inputMode === "decimal" ? cleanDecimal(text, value) : text;
    onChange(next);
    if (next === text) return;
    // With another text than was typed, the browser would put the caret at the end.
    const at = Math.max(0, (input.selectionStart ?? text.length) + next.length - text.length);
    queueMicrotask(() => {
      if (input.value === next) input.setSelectionRange(at, at);
    });
  }
  return (
    <span className={["input", numeric && "number", className].filter(Boolean).join(" ")}>
      {prefix !== undefined && <span className="input-affix">{prefix}</span>}
      <input
        type="text"
        autoComplete="off"
        spellCheck={false}
        {...(numeric || mono ? { autoCapitalize: "none", autoCorrect: "off" } : {})}
        {...wiring}
        {...rest}
        inputMode={inputMode}
        value={value}
        onChange={change}
        className={mono ? "mono" : numeric ? "num" : undefined}
      />
      {suffix !== undefined && <span className="input-affix">{suffix}</span>}
    </span>
  );
}

export interface TextAreaProps extends Shared, Omit<ComponentProps<"textarea">, "value" | "onChange"> {}

export function TextArea({ value, onChange, mono = false, ...rest }: TextAreaProps): ReactElement {
  const wiring = useField();
  return (
    <span className="input area">
      <textarea
        autoComplete="off"
        spellCheck={false}
        rows={3}
        {...wiring}
        {...rest}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        className={mono ? "mono" : undefined}
      />
    </span>
  );
}
