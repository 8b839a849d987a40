/** A market with everything to trade it: chart, book, trades, the order form, and one's own orders. */

import "./trade.css";

import { type ReactElement, useCallback, useMemo, useState } from "react";

import { Book } from "../market/book";
import { Chart, type ChartOrder } from "../market/chart";
import { useMarketsQuery } from "../market/markets";
import { Tape } from "../market/tape";
import { TickerBar } from "../market/ticker-bar";
import { Link } from "../router";
import { useCommand } from "../shell/commands";
import { Empty } from "../ui/empty";
import { Tabs } from "../ui/tabs";
import { AmendDialog } from "./amend-dialog";
import { lineOf, standing } from "./marks";
import { type Order, useOpenOrders } from "./open-orders";
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
  const orders = useOpenOrders();
  const here = useMemo(() => (orders ?? []).filter((order) => order.market === market), [orders, market]);
  const lines = useMemo(() => here.map(lineOf).filter((line) => line !== null), [here]);
  const own = useMemo(() => here.map(standing).filter((order) => order !== null), [here]);

  const [amended, setAmended] = useState<{ order: Order; price: string } | null>(null);
  const move = useCallback(
    ({ id }: ChartOrder, price: string) => {
      const order = here.find(({ order_id }) => order_id === id);
      if (order !== undefined) setAmended({ order, price });
    },
    [here],
  );

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
      <Chart market={market} orders={lines} onMove={move} className="area-chart" />
      <Book market={market} onPick={pick} own={own} className="area-book" />
      <Tape market={market} className="area-tape" />
      <section className="panel area-form" aria-label="Order form" data-tour="form">
        <div className="panel-body scroll">
          <OrderForm market={market} picked={picked} onWanted={show} />
        </div>
      </section>
      <Positions market={market} className="area-positions" />
      {amended !== null && (
        <AmendDialog order={amended.order} change={{ price: amended.price }} onClose={() => setAmended(null)} />
      )}
    </div>
  );
}
