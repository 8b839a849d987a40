/** The messages of toast(), read out as they come: errors at once, the rest when there is a pause. */

import "./feedback.css";

import {
  type FocusEvent,
  type ReactElement,
  type ReactPortal,
  useCallback,
  useEffect,
  useLayoutEffect,
  useRef,
  useSyncExternalStore,
} from "react";
import { createPortal } from "react-dom";

import { IconButton } from "./button";
import { handFocusOn } from "./focus";
import { Icon } from "./icon";
import { onDialogs, uppermostDialog } from "./open-dialogs";
import { dismissToast, holdToasts, type Toast, toastStore } from "./toast";

const ICONS = { ok: "check", info: "info", error: "alert" } as const;
const WORDS = { ok: "Done", info: "Note", error: "Error" } as const;

/** In the uppermost dialog while one is open: outside of it they could be seen, but neither pressed nor heard. */
export function Toasts(): ReactPortal {
  const dialog = useSyncExternalStore(onDialogs, uppermostDialog);
  return createPortal(<Region />, dialog ?? document.body);
}

function Region(): ReactElement {
  const toasts = useSyncExternalStore(toastStore.subscribe, toastStore.get);
  const region = useRef<HTMLElement>(null);
  const newest = toasts.at(-1)?.id;
  const cameFrom = useRef<Element | null>(null);

  function enter({ relatedTarget }: FocusEvent): void {
    // From nowhere is from one of them, which was dismissed.
    if (relatedTarget !== null && region.current?.contains(relatedTarget) !== true) cameFrom.current = relatedTarget;
    holdToasts(true);
  }
  // Who dismisses one by the keyboard stands at the next, and after the last where they came from.
  const next = useCallback((): HTMLElement | null => {
    const other = region.current?.querySelector<HTMLElement>(".toast button");
    const back = cameFrom.current instanceof HTMLElement && cameFrom.current.isConnected ? cameFrom.current : null;
    return other ?? back ?? document.getElementById("main");
  }, []);

  // A dialog is above everything but a popover that was shown after it.
  useEffect(() => {
    const element = region.current;
    if (element === null || typeof element.showPopover !== "function") return;
    if (!element.isConnected) return; // its dialog has just gone: it is about to stand elsewhere
    if (element.matches(":popover-open")) element.hidePopover();
    if (newest !== undefined) element.showPopover();
  }, [newest]);

  const errors = toasts.filter((toast) => toast.kind === "error");
  const others = toasts.filter((toast) => toast.kind !== "error");
  return (
    <section
      ref={region}
      className="toasts"
      popover="manual"
      aria-label="Notifications"
      onPointerEnter={() => holdToasts(true)}
      onPointerLeave={() => holdToasts(false)}
      onFocus={enter}
      onBlur={() => holdToasts(false)}
    >
      <div role="status" aria-live="polite">
        {others.map((toast) => (
          <ToastCard key={toast.id} toast={toast} next={next} />
        ))}
      </div>
      <div aria-live="assertive">
        {errors.map((toast) => (
          <ToastCard key={toast.id} toast={toast} next={next} />
        ))}
      </div>
    </section>
  );
}

function ToastCard({ toast, next }: { toast: Toast; next(): HTMLElement | null }): ReactElement {
  const card = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const there = card.current;
    return () => handFocusOn(there, next);
  }, [next]);
  return (
    <div ref={card} className={`toast ${toast.kind}`} data-kind={toast.kind}>
      <Icon name={ICONS[toast.kind]} size={18} />
      <div className="grow">
        <p className="toast-title">
          <span className="visually-hidden">{WORDS[toast.kind]}: </span>
          {toast.title}
          {toast.times > 1 && <span className="num muted"> ({toast.times})</span>}
        </p>
        {toast.detail !== null && <p className="toast-detail">{toast.detail}</p>}
      </div>
      <IconButton icon="close" label="Dismiss" size={14} onClick={() => dismissToast(toast.id)} />
    </div>
  );
}
