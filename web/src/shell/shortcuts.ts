/** Keys that do things, wherever the focus is; but never while somebody types or a dialog is open. */

import { type Command, getCommands } from "./commands";
import { getSettings } from "./settings";

const SEQUENCE_MS = 1_200;

const TYPED_IN = "input, textarea, select, [contenteditable]";
const NOT_TYPED_IN = ["button", "checkbox", "radio", "range", "reset", "submit"];

/** Whether keys go into it as text. */
export function isTypedIn(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !NOT_TYPED_IN.includes(target.type);
  return target.matches(TYPED_IN);
}

export interface Pressed {
  key: string;
  /** The place on the keyboard: "KeyB" */
  code: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
}

/** How the keys of a command would call this: "b", "?", "mod+k"; null for what is none (a bare Shift, Alt). */
export function nameOf(pressed: Pressed): string | null {
  if (pressed.altKey || pressed.key.length !== 1) return null;
  // On a Greek or Cyrillic keyboard the letter is the one that stands there on a Latin one.
  const latin = pressed.key > "~" ? /^Key([A-Z])$/.exec(pressed.code)?.[1] : undefined;
  const key = (latin ?? pressed.key).toLowerCase();
  return pressed.ctrlKey || pressed.metaKey ? `mod+${key}` : key;
}

/** The command for a key, after the one before it; "first" when it begins a sequence of two. */
export function commandFor(
  name: string,
  before: string | null,
  commands: readonly Command[],
): Command | "first" | null {
  const sequence = before === null ? undefined : commands.find((command) => command.keys === `${before} ${name}`);
  const single = commands.find((command) => command.keys === name);
  if (sequence !== undefined) return sequence;
  if (single !== undefined) return single;
  return commands.some((command) => command.keys?.startsWith(`${name} `) === true) ? "first" : null;
}

/** Listens until the returned function is called. */
export function listenForShortcuts(): () => void {
  let before: { name: string; atMs: number } | null = null;

  function press(event: KeyboardEvent): void {
    if (event.defaultPrevented || event.isComposing || event.repeat) return;
    const name = nameOf(event);
    if (name === null) return;
    const withModifier = name.startsWith("mod+");
    if (!withModifier && (!getSettings().shortcuts || isTypedIn(event.target))) return;
    if (document.querySelector("dialog[open]") !== null) return;
    const recent = before !== null && event.timeStamp - before.atMs < SEQUENCE_MS ? before.name : null;
    const found = commandFor(name, recent, getCommands());
    before = found === "first" ? { name, atMs: event.timeStamp } : null;
    if (found === null || found === "first") return;
    event.preventDefault();
    found.run();
  }

  document.addEventListener("keydown", press);
  return () => document.removeEventListener("keydown", press);
}

/** Keys as they are printed on the keyboard: "Ctrl", "K". */
export function keyCaps(keys: string): string[] {
  const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  return keys.split(/[ +](?=.)/).map((key) => {
    if (key === "mod") return mac ? "⌘" : "Ctrl";
    return key.length === 1 ? key.toUpperCase() : key;
  });
}
