/** Rows of a table; on a phone each is a card of names and values, for which no sideways scrolling is needed. */

import type { ReactElement, ReactNode } from "react";

import { Loading } from "../ui/loading";
import { type Column, Table } from "../ui/table";
import { useNarrow } from "./use-narrow";

export interface RecordColumn<R> extends Column<R> {
  /** On a card it stands in its head: on the left, or at the right end */
  head?: "start" | "end";
  /** Buttons, which stand below the card's values */
  actions?: boolean;
}

export interface RecordsProps<R> {
  label: string;
  columns: readonly RecordColumn<R>[];
  /** null: still loading */
  rows: readonly R[] | null;
  rowKey(row: R): string;
  empty: ReactNode;
}

export function Records<R>(props: RecordsProps<R>): ReactElement {
  const narrow = useNarrow();
  const { label, columns, rows, rowKey, empty } = props;
  if (!narrow) return <Table {...props} />;
  if (rows === null) return <Loading />;
  if (rows.length === 0) return <>{empty}</>;
  const of = (head: "start" | "end") => columns.filter((column) => column.head === head);
  const values = columns.filter((column) => column.head === undefined && column.actions !== true);
  const actions = columns.filter((column) => column.actions === true);
  return (
    <ul className="records" aria-label={label}>
      {rows.map((row) => (
        <li key={rowKey(row)} className="record">
          <div className="row spread">
            <span className="row">
              {of("start").map((column) => (
                <span key={column.id}>{column.cell(row)}</span>
              ))}
            </span>
            <span className="row">
              {of("end").map((column) => (
                <span key={column.id}>{column.cell(row)}</span>
              ))}
            </span>
          </div>
          <dl className="record-values">
            {values.map((column) => (
              <div key={column.id}>
                <dt>{column.title}</dt>
                <dd className={column.numeric === true ? "num" : undefined}>{column.cell(row)}</dd>
              </div>
            ))}
          </dl>
          {actions.map((column) => (
            <div key={column.id} className="record-actions">
              {column.cell(row)}
            </div>
          ))}
        </li>
      ))}
    </ul>
  );
}
