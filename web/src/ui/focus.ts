/** Where the focus goes when what has it goes away: without this, to the top of the page. */

/** Call while it is still there, from the clean-up of a layout effect. `next` is asked when it is gone. */
export function handFocusOn(from: Element | null, next: () => HTMLElement | null | undefined): void {
  if (from === null || !from.contains(document.activeElement)) return;
  queueMicrotask(() => {
    if (document.activeElement === document.body) next()?.focus({ preventScroll: true });
  });
}
