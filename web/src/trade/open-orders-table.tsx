/** The open orders, live, with what can be done about each. */

import { type ReactElement, useLayoutEffect, useRef, useState } from "react";

import { type Market, useMarkets } from "../market/markets";
import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { handFocusOn } from "../ui/focus";
import { shownAmount } from "../ui/money";
import { AmendDialog } from "./amend-dialog";
import { Editable } from "./editable";
import { FilledCell, MarketCell, SideCell, TimeCell } from "./cells";
import type { Order } from "./open-orders";
import { cancelOrder } from "./order-actions";
import { type RecordColumn, Records } from "./records";
import { dateTimeText, kindText } from "./words";

export function OpenOrdersTable({ orders }: { orders: readonly Order[] | null }): ReactElement {
  const markets = useMarkets();
  const [amended, setAmended] = useState<Order | null>(null);
  const columns: readonly RecordColumn<Order>[] = [
    { id: "time", title: "Placed", cell: (order) => <TimeCell ms={order.created_ms} /> },
    { id: "market", title: "Market", head: "start", cell: (order) => <MarketCell market={order.market} /> },
    { id: "side", title: "Side", head: "start", cell: (order) => <SideCell side={order.side} /> },
    { id: "kind", title: "Kind", head: "end", cell: (order) => <KindCell order={order} /> },
    { id: "price", title: "Price", numeric: true, cell: (order) => <PriceCell order={order} market={markets.get(order.market)} /> },
    {
      id: "filled",
      title: "Filled / size",
      numeric: true,
      cell: (order) => (
        <Editable order={order} market={markets.get(order.market)} field="size">
          <FilledCell filled={order.filled} size={order.size} />
        </Editable>
      ),
    },
    {
      id: "actions",
      title: "Actions",
      hideTitle: true,
      numeric: true,
      actions: true,
      cell: (order) => <Actions order={order} onAmend={() => setAmended(order)} />,
    },
  ];
  return (
    <>
      <Records
        label="Open orders"
        columns={columns}
        rows={orders}
        rowKey={(order) => order.order_id}
        empty={<Empty icon="book" title="No open orders" detail="Orders that wait for their price stand here." />}
      />
      {amended !== null && <AmendDialog order={amended} onClose={() => setAmended(null)} />}
    </>
  );
}

function Actions({ order, onAmend }: { order: Order; onAmend(): void }): ReactElement {
  const [busy, setBusy] = useState(false);
  const root = useRef<HTMLSpanElement>(null);
  useLayoutEffect(() => {
    const row = root.current?.closest<HTMLElement>("tr, .record") ?? null;
    return () => leaveRow(row);
  }, []);
  async function cancel(): Promise<void> {
    setBusy(true);
    await cancelOrder(order);
    setBusy(false);
  }
  const what = `${order.side} order of ${order.size} at ${order.price ?? "market"}`;
  return (
    <span ref={root} className="row tight end">
      {order.type === "limit" && (
        <Button size="s" kind="plain" aria-label={`Amend ${what}`} onClick={onAmend}>
          Amend
        </Button>
      )}
      <Button size="s" busy={busy} data-cancel aria-label={`Cancel ${what}`} onClick={() => void cancel()}>
        Cancel
      </Button>
    </span>
  );
}

/** Who has cancelled an order by the keyboard stands at the next, or where the list is chosen when there is none. */
function leaveRow(row: HTMLElement | null): void {
  const list = row?.parentElement ?? null;
  if (row === null || list === null) return;
  const at = [...list.children].indexOf(row);
  const tab = row.closest("[role=tabpanel]")?.getAttribute("aria-labelledby") ?? "";
  handFocusOn(row, () => {
    const next = list.isConnected ? (list.children[at] ?? list.lastElementChild) : null;
    return next?.querySelector<HTMLElement>("[data-cancel]") ?? document.getElementById(tab);
  });
}

function KindCell({ order }: { order: Order }): ReactElement {
  return (
    <span className="muted" title={order.good_till_ms === null ? undefined : `Until ${dateTimeText(order.good_till_ms)}`}>
      {kindText(order)}
    </span>
  );
}

/** Of an order that waits: what it waits for; then its limit. */
function PriceCell({ order, market }: { order: Order; market: Market | undefined }): ReactElement {
  const price = (
    <Editable order={order} market={market} field="price">
      <span className="num">{order.type === "market" ? "market" : shownAmount(order.price ?? "")}</span>
    </Editable>
  );
  if (order.trigger === null || order.trigger.met) return price;
  return (
    <span className="num" title="What it waits for, then its price">
      <span className="faint">at </span>
      {shownAmount(order.trigger.price)}
      <span className="faint"> → </span>
      {price}
    </span>
  );
}
