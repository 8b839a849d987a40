/** The open orders, live, with what can be done about each. */

import { type ReactElement, useState } from "react";

import { type Market, useMarkets } from "../market/markets";
import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
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
  const market = amended === null ? undefined : markets.get(amended.market);
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
      {amended !== null && market !== undefined && (
        <AmendDialog order={amended} market={market} onClose={() => setAmended(null)} />
      )}
    </>
  );
}

function Actions({ order, onAmend }: { order: Order; onAmend(): void }): ReactElement {
  const [busy, setBusy] = useState(false);
  async function cancel(): Promise<void> {
    setBusy(true);
    await cancelOrder(order);
    setBusy(false);
  }
  const what = `${order.side} order of ${order.size} at ${order.price ?? "market"}`;
  return (
    <span className="row tight end">
      {order.type === "limit" && (
        <Button size="s" kind="plain" aria-label={`Amend ${what}`} onClick={onAmend}>
          Amend
        </Button>
      )}
      <Button size="s" busy={busy} aria-label={`Cancel ${what}`} onClick={() => void cancel()}>
        Cancel
      </Button>
    </span>
  );
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
