/** A table from columns and rows. Scrolls by itself, also with the keyboard. */

import type { ReactElement, ReactNode } from "react";

import { Loading } from "./loading";

export interface Column<R> {
  /** Unique among the columns */
  id: string;
  /** Its heading; for a column of buttons too, with `hideTitle` */
  title: string;
  hideTitle?: boolean | undefined;
  /** Numbers stand at the end, in digits of one width */
  numeric?: boolean | undefined;
  cell(row: R): ReactNode;
}

export interface TableProps<R> {
  /** What it lists, for those who do not see where it stands */
  label: string;
  columns: readonly Column<R>[];
  /** null or undefined: still loading */
  rows: readonly R[] | null | undefined;
  rowKey(row: R): string | number;
  /** In its place when there are no rows */
  empty?: ReactNode;
  rowClass?(row: R): string | undefined;
}

export function Table<R>({ label, columns, rows, rowKey, empty, rowClass }: TableProps<R>): ReactElement {
  if (rows === null || rows === undefined) return <Loading />;
  if (rows.length === 0 && empty !== undefined) return <>{empty}</>;
  return (
    <div className="table-wrap" role="region" aria-label={label} tabIndex={0}>
      <table className="table">
        <caption className="visually-hidden">{label}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.id} scope="col" className={column.numeric === true ? "end" : undefined}>
                {column.hideTitle === true ? <span className="visually-hidden">{column.title}</span> : column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)} className={rowClass?.(row)}>
              {columns.map((column) => (
                <td key={column.id} className={column.numeric === true ? "num end" : undefined}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
