/** Changes the price or size of an open order; checked as it is typed. */

import { type FormEvent, type ReactElement, useId, useState } from "react";

import { type Market, useMarket } from "../market/markets";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { TextInput } from "../ui/text-input";
import { type AmendDraft, amendDraft, checkAmend } from "./amend-draft";
import { FaultText } from "./nearest";
import { type Order, useOpenOrders } from "./open-orders";
import { useAmend } from "./use-amend";
import { sideText } from "./words";

export interface AmendDialogProps {
  /** As it was when this was asked for. */
  order: Order;
  /** What is filled in already. */
  change?: Partial<AmendDraft>;
  onClose(): void;
}

export function AmendDialog(props: AmendDialogProps): ReactElement | null {
  const market = useMarket(props.order.market);
  return market === undefined ? null : <OpenDialog market={market} {...props} />;
}

function OpenDialog({ order: asked, change: filledIn = {}, market, onClose }: AmendDialogProps & { market: Market }): ReactElement {
  const orders = useOpenOrders();
  // As it is now: it may be filled in part, or be gone, while somebody types.
  const current = orders?.find(({ order_id }) => order_id === asked.order_id);
  const isOpen = orders === null || current !== undefined;
  const order = current ?? asked;
  const [typed, setTyped] = useState<Partial<AmendDraft>>(filledIn);
  const { busy, refusal, clear, send } = useAmend(order);
  const id = useId();
  const draft = { ...amendDraft(order), ...typed };
  const checked = checkAmend(draft, order, market);

  function change(patch: Partial<AmendDraft>): void {
    setTyped((before) => ({ ...before, ...patch }));
    clear();
  }

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (isOpen && checked.change !== null && !busy && (await send(checked.change))) onClose();
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
          <Button type="submit" form={id} kind="primary" busy={busy} disabled={!isOpen || checked.change === null}>
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
        {!isOpen && !busy && (
          <p className="note warn" role="alert">
            This order is not open any more. What became of it stands in the history.
          </p>
        )}
        {isOpen && refusal !== null && refusal.field !== "price" && refusal.field !== "size" && (
          <p className="note bad" role="alert">
            {refusal.text}
          </p>
        )}
      </form>
    </Dialog>
  );
}
