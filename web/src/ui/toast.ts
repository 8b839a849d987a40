/** Short messages about what happened. Can be called from anywhere; <Toasts/> shows them. */

export type ToastKind = "ok" | "info" | "error";

export interface Toast {
  readonly id: number;
  readonly kind: ToastKind;
  readonly title: string;
  readonly detail: string | null;
  /** How often the same was said while it is shown */
  readonly times: number;
}

const SHOWN_MS = { ok: 5_000, info: 6_000, error: 12_000 } as const;
const AT_MOST = 4;

let toasts: readonly Toast[] = [];
let nextId = 1;
const timers = new Map<number, ReturnType<typeof setTimeout>>();
const listeners = new Set<() => void>();

function publish(next: readonly Toast[]): void {
  toasts = next;
  listeners.forEach((listener) => listener());
}

function arm(toast: Toast): void {
  clearTimeout(timers.get(toast.id));
  timers.set(
    toast.id,
    setTimeout(() => dismissToast(toast.id), SHOWN_MS[toast.kind]),
  );
}

/** Says something; the same again within its time counts up instead of piling up. Returns its id. */
export function toast(kind: ToastKind, title: string, detail?: string): number {
  const same = toasts.find((shown) => shown.kind === kind && shown.title === title && shown.detail === (detail ?? null));
  if (same !== undefined) {
    const again = { ...same, times: same.times + 1 };
    publish(toasts.map((shown) => (shown.id === same.id ? again : shown)));
    arm(again);
    return again.id;
  }
  const said: Toast = { id: nextId++, kind, title, detail: detail ?? null, times: 1 };
  toasts.slice(0, Math.max(0, toasts.length + 1 - AT_MOST)).forEach((old) => forget(old.id));
  publish([...toasts, said].slice(-AT_MOST));
  arm(said);
  return said.id;
}

function forget(id: number): void {
  clearTimeout(timers.get(id));
  timers.delete(id);
}

export function dismissToast(id: number): void {
  forget(id);
  publish(toasts.filter((shown) => shown.id !== id));
}

/** Who points at them, or has the focus in them, is still reading. */
export function holdToasts(held: boolean): void {
  if (held) timers.forEach((timer) => clearTimeout(timer));
  else toasts.forEach(arm);
}

export const toastStore = {
  get: (): readonly Toast[] => toasts,
  subscribe(listener: () => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
