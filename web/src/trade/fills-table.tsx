/** One's own side of each trade. */

import type { ReactElement } from "react";

import { Empty } from "../ui/empty";
import { Money, shownAmount } from "../ui/money";
import { MarketCell, SideCell, TimeCell } from "./cells";
import { type Fill, fillKey, useLiveFills } from "./live-fills";
import { PagedList } from "./more";
import { type RowIds, usePaged } from "./pages";
import { type RecordColumn, Records } from "./records";

const COLUMNS: readonly RecordColumn<Fill>[] = [
  { id: "time", title: "Time", head: "end", cell: (fill) => <TimeCell ms={fill.time_ms} /> },
  { id: "market", title: "Market", head: "start", cell: (fill) => <MarketCell market={fill.market} /> },
  { id: "side", title: "Side", head: "start", cell: (fill) => <SideCell side={fill.side} /> },
  { id: "price", title: "Price", numeric: true, cell: (fill) => shownAmount(fill.price) },
  { id: "size", title: "Size", numeric: true, cell: (fill) => shownAmount(fill.size) },
  {
    id: "amount",
    title: "Total",
    numeric: true,
    cell: (fill) => <Money value={fill.amount} asset={fill.fee_asset} />,
  },
  { id: "fee", title: "Fee", numeric: true, cell: (fill) => <Money value={fill.fee} asset={fill.fee_asset} /> },
  { id: "role", title: "Role", cell: (fill) => <span className="muted">{fill.role === "maker" ? "Maker" : "Taker"}</span> },
];

const IDS: RowIds<Fill> = { key: fillKey, id: (fill) => fill.trade_id };

export function FillsTable({ market }: { market: string | undefined }): ReactElement {
  const { fills, sinceSeq } = useLiveFills();
  const rows = market === undefined ? fills : fills.filter((fill) => fill.market === market);
  const paged = usePaged<Fill>("/v1/fills", { market }, { rows, sinceSeq }, IDS);
  return (
    <PagedList paged={paged}>
      <Records
        label="Fills"
        columns={COLUMNS}
        rows={paged.rows}
        rowKey={fillKey}
        empty={<Empty icon="swap" title="No fills yet" detail="Each trade of your orders stands here, with its fee." />}
      />
    </PagedList>
  );
}
