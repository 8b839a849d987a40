/** A price or a size in the list of open orders, changed where it stands: Enter sends it, Escape leaves it as it was. */

import { type FormEvent, type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useRef, useState } from "react";

import type { Market } from "../market/markets";
import { IconButton } from "../ui/button";
import { Field } from "../ui/field";
import { Icon } from "../ui/icon";
import { TextInput } from "../ui/text-input";
import { amendDraft, type AmendField, checkAmendOf } from "./amend-draft";
import { FaultText } from "./nearest";
import type { Order } from "./open-orders";
import { useAmend } from "./use-amend";

export interface EditableProps {
  order: Order;
  /** Undefined while it is not known: then nothing can be changed. */
  market: Market | undefined;
  field: AmendField;
  /** What is read while it is not changed. */
  children: ReactNode;
}

export function Editable({ order, market, field, children }: EditableProps): ReactElement {
  const [isOpen, setOpen] = useState(false);
  const opener = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && !isOpen) opener.current?.focus();
    wasOpen.current = isOpen;
  }, [isOpen]);
  if (market === undefined || order.type !== "limit") return <>{children}</>;
  if (isOpen) return <EditForm order={order} market={market} field={field} onClose={() => setOpen(false)} />;
  return (
    <button ref={opener} type="button" className="edit-value" title={`Change the ${field}`} onClick={() => setOpen(true)}>
      {children}
      <Icon name="edit" size={12} />
      <span className="visually-hidden"> Change the {field}</span>
    </button>
  );
}

interface EditFormProps {
  order: Order;
  market: Market;
  field: AmendField;
  onClose(): void;
}

function EditForm({ order, market, field, onClose }: EditFormProps): ReactElement {
  const [text, setText] = useState(() => amendDraft(order)[field]);
  const [tried, setTried] = useState(false);
  const { busy, refusal, clear, send } = useAmend(order);
  // Against the order as it is now: it may have been filled in part since this was opened.
  const { fault, change, keepsPlace } = checkAmendOf(field, text, order, market);
  const shown = refusal ?? (fault?.code === "field_missing" && !tried ? null : fault);

  function type(next: string): void {
    setText(next);
    setTried(false);
    clear();
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (busy) return;
    setTried(true);
    if (fault !== null) return;
    if (change === null || (await send(change))) onClose();
  }

  function leave(event: KeyboardEvent): void {
    if (event.key !== "Escape" || busy) return;
    event.stopPropagation();
    onClose();
  }

  const place = keepsPlace ? "Keeps its place in the queue" : "Goes to the end of the queue, and may trade at once";
  return (
    <form className="edit-form" noValidate onSubmit={(event) => void submit(event)} onKeyDown={leave}>
      <Field
        label={field === "price" ? "New price" : "New size"}
        hideLabel
        error={shown === null ? null : <FaultText fault={shown} onPick={type} />}
        hint={change === null ? null : place}
      >
        <TextInput
          inputMode="decimal"
          value={text}
          onChange={type}
          autoFocus
          onFocus={(event) => event.target.select()}
          suffix={field === "price" ? market.quote : market.base}
        />
      </Field>
      <IconButton type="submit" icon="check" label={`Save the ${field}`} aria-disabled={busy || undefined} />
      <IconButton icon="close" label="Leave it as it is" disabled={busy} onClick={onClose} />
    </form>
  );
}
