/** What is pressed. While `busy` it keeps the focus, tells so, and does nothing. */

import "./buttons.css";

import type { ComponentProps, MouseEvent, ReactElement } from "react";

import { Icon, type IconName } from "./icon";

export interface ButtonProps extends ComponentProps<"button"> {
  kind?: "primary" | "quiet" | "plain" | "danger" | "buy" | "sell" | undefined;
  size?: "s" | "m" | "l" | undefined;
  busy?: boolean | undefined;
  /** As wide as there is room */
  block?: boolean | undefined;
  icon?: IconName | undefined;
  /** Gets the focus when the dialog that it is in opens */
  "data-autofocus"?: boolean | undefined;
  "data-cancel"?: boolean | undefined;
}

export function Button({
  kind = "quiet",
  size = "m",
  busy = false,
  block = false,
  icon,
  className,
  children,
  onClick,
  ...rest
}: ButtonProps): ReactElement {
  function click(event: MouseEvent<HTMLButtonElement>): void {
    if (busy) event.preventDefault(); // a form is not sent twice either
    else onClick?.(event);
  }
  const classes = ["button", kind, size, block && "block", className].filter(Boolean).join(" ");
  return (
    <button
      type="button"
      {...rest}
      className={classes}
      aria-busy={busy || undefined}
      aria-disabled={busy || undefined}
      onClick={click}
    >
      {busy ? <span className="spinner" aria-hidden="true" /> : icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}

export interface IconButtonProps extends Omit<ComponentProps<"button">, "children" | "aria-label"> {
  icon: IconName;
  /** What it does: its name, and shown when pointed at */
  label: string;
  size?: number | undefined;
}

export function IconButton({ icon, label, size = 16, className, ...rest }: IconButtonProps): ReactElement {
  return (
    <button
      type="button"
      title={label}
      {...rest}
      className={className === undefined ? "icon-button" : `icon-button ${className}`}
      aria-label={label}
    >
      <Icon name={icon} size={size} />
    </button>
  );
}
