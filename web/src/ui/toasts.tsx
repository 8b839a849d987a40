/** The messages of toast(), read out as they come: errors at once, the rest when there is a pause. */

import "./feedback.css";

import { type ReactElement, type ReactPortal, useEffect, useRef, useSyncExternalStore } from "react";
import { createPortal } from "react-dom";

import { IconButton } from "./button";
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
      onFocus={() => holdToasts(true)}
      onBlur={() => holdToasts(false)}
    >
      <div role="status" aria-live="polite">
        {others.map((toast) => (
          <ToastCard key={toast.id} toast={toast} />
        ))}
      </div>
      <div aria-live="assertive">
        {errors.map((toast) => (
          <ToastCard key={toast.id} toast={toast} />
        ))}
      </div>
    </section>
  );
}

function ToastCard({ toast }: { toast: Toast }): ReactElement {
  return (
    <div className={`toast ${toast.kind}`} data-kind={toast.kind}>
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
