/** A button that shows a few links and buttons below it. Esc, a press elsewhere, or a choice closes it. */

import "./feedback.css";

import { type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useId, useRef, useState } from "react";

export interface MenuProps {
  /** What is on the button */
  button: ReactNode;
  /** The button's name, where what is on it does not say it */
  label?: string | undefined;
  className?: string | undefined;
  /** Gets what closes it */
  children(close: () => void): ReactNode;
}

export function Menu({ button, label, className, children }: MenuProps): ReactElement {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const trigger = useRef<HTMLButtonElement>(null);
  const id = useId();

  useEffect(() => {
    if (!open) return;
    function elsewhere(event: Event): void {
      if (event.target instanceof Node && root.current?.contains(event.target) !== true) setOpen(false);
    }
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("focusin", elsewhere);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("focusin", elsewhere);
    };
  }, [open]);

  function close(): void {
    setOpen(false);
    trigger.current?.focus();
  }

  function key(event: KeyboardEvent): void {
    if (!open) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
      return;
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const items = [...(root.current?.querySelectorAll<HTMLElement>(".menu-list a, .menu-list button") ?? [])];
    const now = items.findIndex((item) => item === document.activeElement);
    const next = now === -1 ? (step === 1 ? 0 : items.length - 1) : (now + step + items.length) % items.length;
    items[next]?.focus();
  }

  return (
    <div ref={root} className="menu" onKeyDown={key}>
      <button
        ref={trigger}
        type="button"
        className={className ?? "button quiet"}
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={label}
        onClick={() => setOpen(!open)}
      >
        {button}
      </button>
      {open && (
        <div id={id} className="menu-list">
          {children(close)}
        </div>
      )}
    </div>
  );
}
