/** What can be done from the keyboard: pages, buttons and forms register it, the palette and the shortcuts offer it. */

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Command {
  /** Unique; who registers it again replaces it */
  readonly id: string;
  /** What it does, as a button would say it */
  readonly title: string;
  /** Its heading in the palette and the list of shortcuts */
  readonly group?: string | undefined;
  /** A key ("b", "?", "/"), two after each other ("g p"), or with Ctrl or Cmd ("mod+k") */
  readonly keys?: string | undefined;
  /** Other words somebody may look for */
  readonly keywords?: string | undefined;
  run(): void;
}

let commands: readonly Command[] = [];
const listeners = new Set<() => void>();

function publish(next: readonly Command[]): void {
  commands = next;
  listeners.forEach((listener) => listener());
}

/** Offers it until the returned function is called. */
export function registerCommand(command: Command): () => void {
  publish([...commands.filter((other) => other.id !== command.id), command]);
  return () => publish(commands.filter((other) => other !== command));
}

export function getCommands(): readonly Command[] {
  return commands;
}

/** Does what is offered by that name; nothing while it is not. */
export function runCommand(id: string): void {
  commands.find((command) => command.id === id)?.run();
}

function listen(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useCommands(): readonly Command[] {
  return useSyncExternalStore(listen, getCommands);
}

/** Offers it while the component is there; null: not now. `run` may be another function each time. */
export function useCommand(command: Command | null): void {
  const latest = useRef(command);
  useEffect(() => {
    latest.current = command;
  });
  const { id, title, group, keys, keywords } = command ?? {};
  useEffect(() => {
    if (id === undefined || title === undefined) return;
    return registerCommand({ id, title, group, keys, keywords, run: () => latest.current?.run() });
  }, [id, title, group, keys, keywords]);
}
