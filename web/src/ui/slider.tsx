/** A part of the whole, in percent, with marks that can be pressed. */

import "./choices.css";

import type { ReactElement } from "react";

import { useField } from "./field";

export interface SliderProps {
  /** 0 to 100 */
  value: number;
  onChange(value: number): void;
  /** Its name where no Field is around it */
  label?: string | undefined;
  marks?: readonly number[] | undefined;
  step?: number | undefined;
  disabled?: boolean | undefined;
  tone?: "accent" | "buy" | "sell" | undefined;
}

const QUARTERS = [0, 25, 50, 75, 100] as const;

export function Slider(props: SliderProps): ReactElement {
  const { value, onChange, label, marks = QUARTERS, step = 1, disabled = false, tone = "accent" } = props;
  const wiring = useField();
  return (
    <div className={`slider ${tone}`}>
      <input
        {...wiring}
        type="range"
        min={0}
        max={100}
        step={step}
        value={value}
        disabled={disabled}
        aria-label={label}
        aria-valuetext={`${value} %`}
        style={{ "--part": `${value}%` } as Record<string, string>}
        onChange={(event) => onChange(event.target.valueAsNumber)}
      />
      {marks.length > 0 && (
        <div className="slider-marks">
          {marks.map((mark) => (
            <button
              key={mark}
              type="button"
              className={value === mark ? "on" : undefined}
              aria-label={label === undefined ? `${mark} percent` : `${label}: ${mark} percent`}
              disabled={disabled}
              onClick={() => onChange(mark)}
            >
              {mark}%
            </button>
          ))}
        </div>
      )}
    </div>
  );
}
