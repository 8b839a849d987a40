/** Something to finish before the rest goes on. The browser keeps the focus inside and what is behind still. */

import "./feedback.css";

import { type MouseEvent, type ReactElement, type ReactNode, type SyntheticEvent, useEffect, useId, useRef } from "react";

import { IconButton } from "./button";
import { dialogOpened } from "./open-dialogs";

export interface DialogProps {
  title: ReactNode;
  open: boolean;
  /** Esc, the cross, or a press beside it */
  onClose(): void;
  wide?: boolean | undefined;
  /** False while it must not be left: no cross, no Esc */
  closable?: boolean | undefined;
  /** False where a slip beside it would lose what was typed; true unless said otherwise */
  closeOnBackdrop?: boolean | undefined;
  /** Buttons, kept in view below what scrolls */
  footer?: ReactNode;
  className?: string | undefined;
  children: ReactNode;
}

export function Dialog(props: DialogProps): ReactElement | null {
  return props.open ? <OpenDialog {...props} /> : null;
}

function OpenDialog(props: DialogProps): ReactElement {
  const { title, onClose, wide = false, closable = true, closeOnBackdrop = true, footer, className, children } = props;
  const dialog = useRef<HTMLDialogElement>(null);
  const pressedBeside = useRef(false);
  const titleId = useId();

  useEffect(() => {
    const element = dialog.current;
    if (element === null) return;
    const before = document.activeElement;
    element.showModal();
    firstToFocus(element).focus();
    const leave = dialogOpened(element);
    return () => {
      leave();
      element.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
      else document.getElementById("main")?.focus({ preventScroll: true }); // not to the top of the page
    };
  }, []);

  function cancel(event: SyntheticEvent<HTMLDialogElement>): void {
    if (event.target !== dialog.current) return; // a file picker inside was cancelled
    event.preventDefault();
    if (closable) onClose();
  }
  // Browsers close on a second Esc without asking: then it is opened again, or said to be closed.
  function closed(event: SyntheticEvent<HTMLDialogElement>): void {
    if (event.target !== dialog.current || dialog.current.open) return;
    if (closable) onClose();
    else dialog.current.showModal();
  }
  // Only a press that begins and ends beside it closes: not the end of a selection of text.
  function press(event: MouseEvent): void {
    pressedBeside.current = event.target === dialog.current;
  }
  function release(event: MouseEvent): void {
    const beside = pressedBeside.current && event.target === dialog.current;
    pressedBeside.current = false;
    if (beside && closable && closeOnBackdrop) onClose();
  }

  return (
    <dialog
      ref={dialog}
      tabIndex={-1}
      className={["dialog", wide && "wide", className].filter(Boolean).join(" ")}
      aria-labelledby={titleId}
      onCancel={cancel}
      onClose={closed}
      onMouseDown={press}
      onMouseUp={release}
    >
      <div className="dialog-box">
        <div className="dialog-head">
          <h2 id={titleId}>{title}</h2>
          {closable && <IconButton icon="close" label="Close" onClick={onClose} />}
        </div>
        <div className="dialog-body">{children}</div>
        {footer !== undefined && <div className="dialog-foot">{footer}</div>}
      </div>
    </dialog>
  );
}

/** What was marked with data-autofocus, else the first field, else the first button that does not just close. */
function firstToFocus(dialog: HTMLDialogElement): HTMLElement {
  const choices = [
    "[data-autofocus]",
    ".dialog-body :is(input, textarea, select):not(:disabled, [type=radio], [type=checkbox])",
    ".dialog-body :is(button, a[href]):not(:disabled)",
    ".dialog-foot button:not(:disabled)",
  ];
  for (const choice of choices) {
    const found = dialog.querySelector<HTMLElement>(choice);
    if (found !== null) return found;
  }
  return dialog;
}
