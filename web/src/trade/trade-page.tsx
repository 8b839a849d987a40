/** A market with everything to trade it: chart, book, trades, the order form, and one's own orders. */

import "./trade.css";

import { type ReactElement, useCallback, useMemo, useState } from "react";

import { Book } from "../market/book";
import { Chart } from "../market/chart";
import { useMarketsQuery } from "../market/markets";
import { Tape } from "../market/tape";
import { TickerBar } from "../market/ticker-bar";
import { Link } from "../router";
import { useCommand } from "../shell/commands";
import { Empty } from "../ui/empty";
import { Tabs } from "../ui/tabs";
import { lineOf, standing } from "./marks";
import { useOpenOrders } from "./open-orders";
import { useOrderNotices } from "./order-notices";
import { OrderForm } from "./order-form";
import { Positions } from "./positions";
import { useNarrow } from "./use-narrow";

type Pane = "chart" | "book" | "tape" | "form" | "positions";

export function TradePage({ market }: { market: string }): ReactElement {
  const markets = useMarketsQuery().data;
  if (markets !== undefined && !markets.has(market)) {
    const first = markets.keys().next().value;
    return (
      <Empty
        title={`There is no market called ${market}`}
        action={
          first !== undefined && (
            <Link to={`/trade/${first}`} className="button primary m">
              Go to {first}
            </Link>
          )
        }
      />
    );
  }
  return <Panes key={market} market={market} />;
}

function Panes({ market }: { market: string }): ReactElement {
  const narrow = useNarrow();
  const [pane, setPane] = useState<Pane>("chart");
  const [picked, setPicked] = useState<{ price: string } | null>(null);
  const orders = useOpenOrders(market);
  useOrderNotices();
  const lines = useMemo(() => (orders ?? []).map(lineOf).filter((line) => line !== null), [orders]);
  const own = useMemo(() => (orders ?? []).map(standing).filter((order) => order !== null), [orders]);

  const pick = useCallback((price: string) => {
    setPicked({ price });
    setPane((now) => (now === "book" ? "form" : now));
  }, []);
  const show = useCallback(() => setPane("form"), []);
  useCommand(narrow ? { id: "pane-form", title: "Order form", group: "Trade", run: show } : null);

  const tabs = [
    { value: "chart", label: "Chart" },
    { value: "book", label: "Book" },
    { value: "tape", label: "Trades" },
    { value: "form", label: "Order" },
    { value: "positions", label: "Mine", count: orders?.length ?? 0 },
  ] as const;
  return (
    <div className="grid-trade" data-tab={pane}>
      <div className="area-ticker">
        <TickerBar market={market} />
        {narrow && <Tabs<Pane> label="What is shown" even tabs={tabs} value={pane} onChange={setPane} />}
      </div>
      <Chart market={market} orders={lines} className="area-chart" />
      <Book market={market} onPick={pick} own={own} className="area-book" />
      <Tape market={market} className="area-tape" />
      <section className="panel area-form" aria-label="Order form" data-tour="form">
        <div className="panel-body scroll">
          <OrderForm market={market} picked={picked} />
        </div>
      </section>
      <Positions market={market} className="area-positions" />
    </div>
  );
}
