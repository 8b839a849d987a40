/** One of some views: arrows go from tab to tab, Tab goes on to what the tab shows. */

import "./choices.css";

import { type KeyboardEvent, type ReactElement, type ReactNode, useRef } from "react";

export interface Tab<V extends string = string> {
  value: V;
  label: ReactNode;
  /** A number beside the label: how many there are */
  count?: number | undefined;
}

export interface TabsProps<V extends string> {
  tabs: readonly Tab<V>[];
  value: V;
  onChange(value: V): void;
  /** What is chosen here: "Side", "Orders and balances" */
  label: string;
  look?: "line" | "pill" | "side" | undefined;
  /** Ties the tabs to a <TabPanel> with the same id */
  id?: string | undefined;
  /** As wide as there is room, each the same */
  even?: boolean | undefined;
}

export function Tabs<V extends string>(props: TabsProps<V>): ReactElement {
  const { tabs, value, onChange, label, look = "line", id, even = false } = props;
  const list = useRef<HTMLDivElement>(null);

  function go(event: KeyboardEvent): void {
    const now = tabs.findIndex((tab) => tab.value === value);
    const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const index = (next + tabs.length) % tabs.length;
    const tab = tabs[index];
    if (tab === undefined) return;
    onChange(tab.value);
    const button = list.current?.children[index];
    if (button instanceof HTMLElement) button.focus();
  }

  return (
    <div
      ref={list}
      role="tablist"
      aria-label={label}
      className={["tabs", look, even && "even"].filter(Boolean).join(" ")}
      onKeyDown={go}
    >
      {tabs.map((tab) => (
        <button
          key={tab.value}
          type="button"
          role="tab"
          id={id === undefined ? undefined : `${id}-tab-${tab.value}`}
          aria-controls={id !== undefined && tab.value === value ? `${id}-panel` : undefined}
          aria-selected={tab.value === value}
          tabIndex={tab.value === value ? 0 : -1}
          data-value={tab.value}
          onClick={() => onChange(tab.value)}
        >
          {tab.label}
          {tab.count !== undefined && tab.count > 0 && <span className="tab-count num">{tab.count}</span>}
        </button>
      ))}
    </div>
  );
}

export interface TabPanelProps {
  id: string;
  value: string;
  className?: string | undefined;
  children: ReactNode;
}

/** What the chosen tab of the Tabs with this id shows. */
export function TabPanel({ id, value, className, children }: TabPanelProps): ReactElement {
  return (
    <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-tab-${value}`} className={className}>
      {children}
    </div>
  );
}
