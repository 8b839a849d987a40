/** A market with everything to trade it: chart, book, trades, the order form, and one's own orders. */

import "./trade.css";

import { type ReactElement, useCallback, useEffect, useMemo, useState } from "react";

import { Book } from "../market/book";
import { Chart, type ChartOrder } from "../market/chart";
import { rememberMarket } from "../market/home-market";
import { type Markets, useFoundHomeMarket, useMarketsQuery } from "../market/markets";
import { Tape } from "../market/tape";
import { TickerBar } from "../market/ticker-bar";
import { Link } from "../router";
import { useCommand } from "../shell/commands";
import { Empty } from "../ui/empty";
import { Loading } from "../ui/loading";
import { Tabs } from "../ui/tabs";
import { AmendDialog } from "./amend-dialog";
import { lineOf, standing } from "./marks";
import { type Order, useOpenOrders } from "./open-orders";
import { OrderForm } from "./order-form";
import { Positions } from "./positions";
import { useNarrow } from "./use-narrow";

const MOST_NAMED = 12;

type Pane = "chart" | "book" | "tape" | "form" | "positions";

/** Where the address names no market. */
export function HomePage(): ReactElement {
  const home = useFoundHomeMarket();
  const { data, isError } = useMarketsQuery();
  if (home !== null) return <TradePage market={home} />;
  if (isError && data === undefined) return <Empty title="The markets could not be loaded" detail="Trying again." />;
  if (data?.size === 0) return <Empty title="No market is open yet" detail="It appears here once there is one." />;
  return <Loading />;
}

export function TradePage({ market }: { market: string }): ReactElement {
  const markets = useMarketsQuery().data;
  const isListed = markets?.has(market);
  useEffect(() => {
    if (isListed === true) rememberMarket(market);
  }, [isListed, market]);
  if (markets !== undefined && isListed !== true) return <NoSuchMarket market={market} markets={markets} />;
  return <Panes key={market} market={market} />;
}

function NoSuchMarket({ market, markets }: { market: string; markets: Markets }): ReactElement {
  const symbols = [...markets.keys()];
  const meant = symbols.filter((symbol) => symbol.toUpperCase() === market.toUpperCase());
  return (
    <div className="page narrow">
      <h1 className="visually-hidden">Market not found</h1>
      <Empty
        icon="search"
        title={`There is no market called ${market}`}
        detail={meant.length > 0 ? "Names are in capital letters:" : "It is not listed here, or not any more. These are:"}
        action={
          <ul className="row wrap">
            {(meant.length > 0 ? meant : symbols.slice(0, MOST_NAMED)).map((symbol) => (
              <li key={symbol}>
                <Link to={`/trade/${symbol}`} className="button quiet m">
                  {symbol}
                </Link>
              </li>
            ))}
          </ul>
        }
      />
    </div>
  );
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
