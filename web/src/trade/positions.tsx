/** Open orders, what became of others, fills and balances: live, with files of all of it. */

import "./trade.css";

import { type ReactElement, type ReactNode, useLayoutEffect, useRef, useState } from "react";

import { pathWith } from "../api/client";
import { useSession } from "../session";
import { useCommand } from "../shell/commands";
import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { handFocusOn } from "../ui/focus";
import { Checkbox } from "../ui/switch";
import { TabPanel, Tabs } from "../ui/tabs";
import { BalancesTable } from "./balances-table";
import { CsvLink } from "./cells";
import { FillsTable } from "./fills-table";
import { HistoryTable } from "./history-table";
import { useOpenOrders } from "./open-orders";
import { OpenOrdersTable } from "./open-orders-table";
import { cancelAll } from "./order-actions";

type Shown = "open" | "history" | "fills" | "balances";

export interface PositionsProps {
  /** That which is looked at: lists can be bounded to it. */
  market?: string;
  className?: string;
}

export function Positions({ market, className = "" }: PositionsProps): ReactElement {
  const { status } = useSession();
  const [shown, setShown] = useState<Shown>("open");
  const [onlyThis, setOnlyThis] = useState(false);
  const bound = onlyThis ? market : undefined;
  const orders = useOpenOrders(bound);
  const count = orders?.length ?? 0;
  const tabs = [
    { value: "open", label: "Open orders", count },
    { value: "history", label: "History" },
    { value: "fills", label: "Fills" },
    { value: "balances", label: "Balances" },
  ] as const;
  const signedIn = status === "signed-in";
  useCommand(
    count > 0
      ? { id: "cancel-all", title: "Cancel all open orders", group: "Trade", run: () => void cancelAll(count, bound) }
      : null,
  );
  return (
    <section className={`panel positions ${className}`} aria-label="Your orders and balances">
      <header className="panel-head positions-head">
        <Tabs<Shown> id="positions" label="Your orders and balances" tabs={tabs} value={shown} onChange={setShown} />
        {signedIn && (
          <div className="row positions-tools">
            {market !== undefined && shown !== "balances" && (
              <Checkbox label={`${market} only`} checked={onlyThis} onChange={setOnlyThis} />
            )}
            {shown === "open" && count > 0 && (
              <CancelAll count={count} market={bound} />
            )}
            {files(shown, bound)}
          </div>
        )}
      </header>
      <TabPanel id="positions" value={shown} className="panel-body flush scroll">
        {signedIn ? (
          pane(shown, bound, orders)
        ) : (
          <Empty
            icon="user"
            title={status === "unknown" ? "One moment" : "Your orders and balances stand here"}
            detail={status === "unknown" ? undefined : "Start trading to see them."}
          />
        )}
      </TabPanel>
    </section>
  );
}

function CancelAll({ count, market }: { count: number; market: string | undefined }): ReactElement {
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    const there = button.current;
    return () => handFocusOn(there, () => document.getElementById("positions-tab-open"));
  }, []);
  return (
    <Button ref={button} size="s" onClick={() => void cancelAll(count, market)}>
      Cancel all
    </Button>
  );
}

function pane(shown: Shown, market: string | undefined, orders: ReturnType<typeof useOpenOrders>): ReactNode {
  switch (shown) {
    case "open":
      return <OpenOrdersTable orders={orders} />;
    case "history":
      return <HistoryTable market={market} />;
    case "fills":
      return <FillsTable market={market} />;
    case "balances":
      return <BalancesTable />;
  }
}

function files(shown: Shown, market: string | undefined): ReactNode {
  switch (shown) {
    case "open":
      return <CsvLink path={pathWith("/v1/orders.csv", { status: "open", market })} label="Open orders" />;
    case "history":
      return <CsvLink path={pathWith("/v1/orders.csv", { market })} label="All orders" />;
    case "fills":
      return <CsvLink path={pathWith("/v1/fills.csv", { market })} label="Fills" />;
    case "balances":
      return <CsvLink path="/v1/ledger.csv" label="Every change of your balances" />;
  }
}
