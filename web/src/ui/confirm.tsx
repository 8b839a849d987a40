/** A question before something is done: `if (await confirmDialog({ title: "Cancel all orders?" })) ...` */

import { type KeyboardEvent, type ReactElement, type ReactNode, useSyncExternalStore } from "react";

import { Button, type ButtonProps } from "./button";
import { Dialog } from "./dialog";

export interface Question {
  title: string;
  body?: ReactNode;
  /** What is going to be done, name by name */
  lines?: readonly { label: string; value: ReactNode }[] | undefined;
  warning?: string | undefined;
  /** The words on the buttons: what happens, not "OK" */
  confirm?: string | undefined;
  cancel?: string | undefined;
  kind?: Extract<ButtonProps["kind"], "primary" | "danger" | "buy" | "sell"> | undefined;
}

interface Asked {
  question: Question;
  answer(yes: boolean): void;
}

let asked: readonly Asked[] = [];
const listeners = new Set<() => void>();

function publish(next: readonly Asked[]): void {
  asked = next;
  listeners.forEach((listener) => listener());
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** True when the person agrees, false when they do not or close it. Questions wait for each other. */
export function confirmDialog(question: Question): Promise<boolean> {
  return new Promise((resolve) => {
    const entry: Asked = {
      question,
      answer(yes) {
        publish(asked.filter((other) => other !== entry));
        resolve(yes);
      },
    };
    publish([...asked, entry]);
  });
}

/** An Enter that is still held from what asked is no answer. */
function ignoreHeld(event: KeyboardEvent): void {
  if (event.repeat) event.preventDefault();
}

/** Stands once in the shell. */
export function Confirms(): ReactElement | null {
  const first = useSyncExternalStore(subscribe, () => asked[0]);
  if (first === undefined) return null;
  const { title, body, lines, warning, confirm = "Confirm", cancel = "Go back", kind = "primary" } = first.question;
  const footer = (
    <>
      <Button data-autofocus={kind === "danger" || undefined} onClick={() => first.answer(false)}>
        {cancel}
      </Button>
      <Button
        kind={kind}
        data-autofocus={kind !== "danger" || undefined}
        onKeyDown={ignoreHeld}
        onClick={() => first.answer(true)}
      >
        {confirm}
      </Button>
    </>
  );
  return (
    <Dialog title={title} open onClose={() => first.answer(false)} footer={footer}>
      <div className="stack">
        {body !== undefined && <div>{body}</div>}
        {lines !== undefined && (
          <dl className="facts">
            {lines.map((line) => (
              <div key={line.label}>
                <dt>{line.label}</dt>
                <dd className="num">{line.value}</dd>
              </div>
            ))}
          </dl>
        )}
        {warning !== undefined && <p className="note warn">{warning}</p>}
      </div>
    </Dialog>
  );
}
