/** What there is of each asset, live. */

import { type ReactElement, useMemo } from "react";

import { useMarkets } from "../market/markets";
import { Link } from "../router";
import { Empty } from "../ui/empty";
import { Money } from "../ui/money";
import { type Balance, useBalances } from "./balances";
import { type RecordColumn, Records } from "./records";

const COLUMNS: readonly RecordColumn<Balance>[] = [
  { id: "asset", title: "Asset", head: "start", cell: (balance) => <span className="strong">{balance.asset}</span> },
  { id: "available", title: "Available", numeric: true, cell: (balance) => <Money value={balance.available} /> },
  { id: "held", title: "In orders", numeric: true, cell: (balance) => <Money value={balance.held} /> },
  { id: "total", title: "Total", head: "end", numeric: true, cell: (balance) => <Money value={balance.total} /> },
];

export function BalancesTable(): ReactElement {
  const balances = useBalances();
  const markets = useMarkets();
  const rows = useMemo(() => {
    if (balances === null) return null;
    const traded = Array.from(markets.values()).flatMap((market) => [market.quote, market.base]);
    const order = [...new Set([...traded, ...balances.keys()])];
    return order.map((asset) => balances.get(asset)).filter((balance) => balance !== undefined && balance.total !== "0");
  }, [balances, markets]);
  return (
    <Records
      label="Balances"
      columns={COLUMNS}
      rows={rows as readonly Balance[] | null}
      rowKey={(balance) => balance.asset}
      empty={
        <Empty
          icon="wallet"
          title="Nothing here yet"
          detail="Deposit something to trade with."
          action={
            <Link to="/funds" className="button primary m">
              Deposit
            </Link>
          }
        />
      }
    />
  );
}
