/** Everything that can be done, found by a few letters: Ctrl+K or Cmd+K. */

import { type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useId, useRef, useState } from "react";

import { useHomeMarket, useMarkets } from "../market/markets";
import { navigate, usePath } from "../router";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { findCommands, type Found } from "./command-search";
import { type Command, useCommands } from "./commands";
import { marketOf } from "./pages";
import { Keys } from "./shortcut-list";

const GROUPS = ["Trade", "Pages", "Markets", "Account", "Settings", "Help"];

/** Like goes with like, in the order in which one most often wants it. */
export function inGroups(commands: readonly Command[]): Command[] {
  const rank = (command: Command): number => {
    const at = GROUPS.indexOf(command.group ?? "");
    return at === -1 ? GROUPS.length : at;
  };
  return [...commands].sort((one, other) => rank(one) - rank(other));
}

export function Palette({ open, onClose }: { open: boolean; onClose(): void }): ReactElement {
  return (
    <Dialog title="Commands" open={open} onClose={onClose} className="palette">
      <Search onClose={onClose} />
    </Dialog>
  );
}

function Search({ onClose }: { onClose(): void }): ReactElement {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const commands = useCommands();
  const markets = useMarketCommands();
  const found = findCommands(query, inGroups([...commands.filter((each) => each.id !== "palette"), ...markets]));
  const at = Math.min(active, found.length - 1);
  const optionId = (index: number): string => `${id}-option-${index}`;

  useEffect(() => {
    list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }, [at, query]);

  function run(chosen: Found | undefined): void {
    if (chosen === undefined) return;
    onClose();
    // After the dialog has given the focus back, so that the command may take it.
    setTimeout(() => chosen.command.run());
  }

  function key(event: KeyboardEvent): void {
    const next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
    if (next !== undefined && found.length > 0) {
      event.preventDefault();
      setActive((next + found.length) % found.length);
    } else if (event.key === "Enter" && !event.nativeEvent.isComposing) {
      event.preventDefault();
      run(found[at]);
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onClose();
    }
  }

  return (
    <div onKeyDown={key}>
      <div className="palette-search">
        <Icon name="search" />
        <input
          autoFocus
          type="text"
          role="combobox"
          aria-label="Search commands, pages and markets"
          aria-expanded="true"
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 ? optionId(at) : undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder="What do you want to do?"
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setActive(0);
          }}
        />
        <kbd>Esc</kbd>
      </div>
      <ul ref={list} id={`${id}-list`} role="listbox" aria-label="Commands" className="palette-list">
        {found.map((each, index) => (
          <li
            key={each.command.id}
            id={optionId(index)}
            role="option"
            aria-selected={index === at}
            onPointerMove={() => setActive(index)}
            onClick={() => run(each)}
          >
            <span className="grow ellipsis">{marked(each)}</span>
            {each.command.group !== undefined && <span className="faint small">{each.command.group}</span>}
            {each.command.keys !== undefined && <Keys keys={each.command.keys} />}
          </li>
        ))}
      </ul>
      <p className={found.length === 0 ? "palette-none" : "visually-hidden"} role="status">
        {found.length === 0 ? "Nothing fits. Try another word." : `${found.length} found`}
      </p>
    </div>
  );
}

function marked({ command, at }: Found): ReactNode {
  if (at.length === 0) return command.title;
  const hits = new Set(at);
  return [...command.title].map((letter, index) => (hits.has(index) ? <mark key={index}>{letter}</mark> : letter));
}

function useMarketCommands(): Command[] {
  const home = useHomeMarket();
  const shown = marketOf(usePath()) ?? home;
  return [...useMarkets().values()]
    .filter((market) => market.symbol !== shown)
    .map((market) => ({
      id: `market-${market.symbol}`,
      title: market.symbol,
      group: "Markets",
      keywords: `open market ${market.base} ${market.quote}`,
      run: () => navigate(`/trade/${market.symbol}`),
    }));
}
