/** Orders that have ended, and what became of them. */

import type { ReactElement } from "react";

import { Empty } from "../ui/empty";
import { shownAmount } from "../ui/money";
import { FilledCell, MarketCell, SideCell, TimeCell } from "./cells";
import { PagedList } from "./more";
import { type Order, useOrdersState } from "./open-orders";
import { type RowIds, usePaged } from "./pages";
import { type RecordColumn, Records } from "./records";
import { kindText, statusText } from "./words";

const COLUMNS: readonly RecordColumn<Order>[] = [
  { id: "time", title: "Placed", cell: (order) => <TimeCell ms={order.created_ms} /> },
  { id: "market", title: "Market", head: "start", cell: (order) => <MarketCell market={order.market} /> },
  { id: "side", title: "Side", head: "start", cell: (order) => <SideCell side={order.side} /> },
  { id: "kind", title: "Kind", cell: (order) => <span className="muted">{kindText(order)}</span> },
  {
    id: "price",
    title: "Limit",
    numeric: true,
    cell: (order) =>
      order.type === "market" || order.price === null ? (
        <span className="faint">{order.type === "market" ? "Market" : "–"}</span>
      ) : (
        shownAmount(order.price)
      ),
  },
  {
    id: "filled",
    title: "Filled / size",
    numeric: true,
    cell: (order) => <FilledCell filled={order.filled} size={order.size} />,
  },
  {
    id: "status",
    title: "Outcome",
    head: "end",
    cell: (order) => <span className={order.status === "filled" ? "badge good" : "badge"}>{statusText(order)}</span>,
  },
];

const orderKey = (order: Order): string => order.order_id;
const IDS: RowIds<Order> = { key: orderKey, id: orderKey };

export function HistoryTable({ market }: { market: string | undefined }): ReactElement {
  const { ended, sinceSeq } = useOrdersState();
  const rows = market === undefined ? ended : ended.filter((order) => order.market === market);
  const paged = usePaged<Order>("/v1/orders", { status: "ended", market }, { rows, sinceSeq }, IDS);
  return (
    <PagedList paged={paged}>
      <Records
        label="Order history"
        columns={COLUMNS}
        rows={paged.rows}
        rowKey={orderKey}
        empty={<Empty icon="clock" title="No orders yet" detail="Orders that were filled or cancelled stand here." />}
      />
    </PagedList>
  );
}
