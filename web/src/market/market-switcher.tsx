/** The name of the market; pressed, the list of all of them to search in. `/` opens it too. */

import { type KeyboardEvent, type ReactElement, useId, useMemo, useState } from "react";

import { grouped, withDecimals } from "../numbers";
import { navigate } from "../router";
import { useCommand } from "../shell/commands";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { type Market, useMarketsQuery } from "./markets";
import { changeText, type Ticker, useTickers } from "./tickers";

export function MarketSwitcher({ market }: { market: string | null }): ReactElement {
  const [isOpen, setOpen] = useState(false);
  useCommand({ id: "market-search", title: "Go to a market", group: "Markets", keys: "/", run: () => setOpen(true) });
  return (
    <>
      <button type="button" className="market-button" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        <span>{market ?? "Markets"}</span>
        <Icon name="chevron-down" size={16} />
        <span className="visually-hidden">Change market</span>
      </button>
      <Dialog title="Markets" open={isOpen} onClose={() => setOpen(false)} className="markets-dialog">
        <MarketList current={market} onClose={() => setOpen(false)} />
      </Dialog>
    </>
  );
}

/** Those whose symbol has the words, in any order. */
export function found(markets: readonly Market[], search: string): Market[] {
  const words = search.toUpperCase().split(/[\s/-]+/).filter(Boolean);
  return markets.filter((market) => words.every((word) => market.symbol.toUpperCase().includes(word)));
}

function MarketList({ current, onClose }: { current: string | null; onClose(): void }): ReactElement {
  const { data, isError } = useMarketsQuery();
  const tickers = useTickers();
  const [search, setSearch] = useState("");
  const [active, setActive] = useState(0);
  const id = useId();
  const markets = useMemo(() => found([...(data?.values() ?? [])], search), [data, search]);
  const at = Math.min(active, Math.max(0, markets.length - 1));

  function go(market: Market | undefined): void {
    if (market === undefined) return;
    onClose();
    navigate(`/trade/${market.symbol}`);
  }
  function onKeyDown(event: KeyboardEvent): void {
    if (event.key === "Enter") go(markets[at]);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || markets.length === 0) return;
    event.preventDefault();
    setActive((at + step + markets.length) % markets.length);
  }

  return (
    <div className="stack">
      <div className="market-search">
        <Icon name="search" size={16} />
        <input
          type="text"
          role="combobox"
          aria-label="Search markets"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-activedescendant={markets.length === 0 ? undefined : `${id}-${at}`}
          autoComplete="off"
          data-autofocus
          spellCheck={false}
          placeholder="Search"
          value={search}
          onKeyDown={onKeyDown}
          onChange={(event) => {
            setSearch(event.target.value);
            setActive(0);
          }}
        />
      </div>
      <ul role="listbox" id={`${id}-list`} aria-label="Markets" className="market-list">
        {markets.map((market, index) => (
          <MarketOption
            key={market.symbol}
            id={`${id}-${index}`}
            market={market}
            ticker={tickers.get(market.symbol)}
            isActive={index === at}
            isCurrent={market.symbol === current}
            onPick={() => go(market)}
          />
        ))}
      </ul>
      <p className="muted" role="status">
        {isError && "The markets can not be loaded. Trying again."}
        {data !== undefined && markets.length === 0 && "No market of that name."}
      </p>
    </div>
  );
}

interface MarketOptionProps {
  id: string;
  market: Market;
  ticker: Ticker | undefined;
  isActive: boolean;
  isCurrent: boolean;
  onPick(): void;
}

function MarketOption({ id, market, ticker, isActive, isCurrent, onPick }: MarketOptionProps): ReactElement {
  const last = ticker?.last ?? market.lastPrice;
  const change = ticker?.change_bps ?? null;
  const tone = change === null || change === 0 ? "muted" : change > 0 ? "buy" : "sell";
  return (
    // The keyboard is the search field's: an option only takes the mouse.
    <li id={id} role="option" aria-selected={isActive} aria-current={isCurrent || undefined} onClick={onPick}>
      <span className="strong">{market.symbol}</span>
      <span className="num end">{last === null ? "–" : grouped(withDecimals(last, market.tickDecimals))}</span>
      <span className={`num end ${tone}`}>{changeText(change)}</span>
    </li>
  );
}
