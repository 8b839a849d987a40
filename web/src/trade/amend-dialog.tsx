/** Changes the price or size of an open order; checked as it is typed. */

import { type FormEvent, type ReactElement, useId, useState } from "react";

import type { Market } from "../market/markets";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { TextInput } from "../ui/text-input";
import { type AmendDraft, amendDraft, checkAmend } from "./amend-draft";
import { FaultText } from "./nearest";
import type { Order } from "./open-orders";
import { useAmend } from "./use-amend";
import { sideText } from "./words";

export interface AmendDialogProps {
  order: Order;
  market: Market;
  onClose(): void;
}

export function AmendDialog({ order, market, onClose }: AmendDialogProps): ReactElement {
  const [draft, setDraft] = useState<AmendDraft>(() => amendDraft(order));
  const { busy, refusal, clear, send } = useAmend(order);
  const id = useId();
  const checked = checkAmend(draft, order, market);

  function change(patch: Partial<AmendDraft>): void {
    setDraft((before) => ({ ...before, ...patch }));
    clear();
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (checked.change !== null && !busy && (await send(checked.change))) onClose();
  }

  const faultOf = (field: "price" | "size") => {
    const fault = refusal?.field === field ? refusal : checked.errors.find((error) => error.field === field);
    return fault === undefined ? null : <FaultText fault={fault} onPick={(value) => change({ [field]: value })} />;
  };
  return (
    <Dialog
      title={`Amend: ${sideText(order.side).toLowerCase()} ${market.base}`}
      open
      onClose={onClose}
      closeOnBackdrop={false}
      footer={
        <>
          <Button onClick={onClose}>Leave it</Button>
          <Button type="submit" form={id} kind="primary" busy={busy} disabled={checked.change === null}>
            Save
          </Button>
        </>
      }
    >
      <form id={id} className="stack" noValidate onSubmit={(event) => void submit(event)}>
        <Field label="Price" reserve error={faultOf("price")}>
          <TextInput
            inputMode="decimal"
            value={draft.price}
            onChange={(price) => change({ price })}
            suffix={market.quote}
            data-autofocus
          />
        </Field>
        <Field
          label="Size"
          reserve
          error={faultOf("size")}
          hint={/[1-9]/.test(order.filled) ? `${order.filled} of it is filled` : null}
        >
          <TextInput
            inputMode="decimal"
            value={draft.size}
            onChange={(size) => change({ size })}
            suffix={market.base}
          />
        </Field>
        <p className="small muted">
          {checked.keepsPlace
            ? "A smaller size at the same price keeps the order's place in the queue."
            : "The order goes to the end of the queue, and may trade at once."}
        </p>
        {refusal !== null && refusal.field !== "price" && refusal.field !== "size" && (
          <p className="note bad" role="alert">
            {refusal.text}
          </p>
        )}
      </form>
    </Dialog>
  );
}
