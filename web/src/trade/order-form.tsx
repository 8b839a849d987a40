/** Where an order is typed, checked as it is typed, and sent. */

import "./trade.css";

import { type FormEvent, type ReactElement, useCallback, useEffect, useRef, useState } from "react";

import { useAgent } from "../agent/agent";
import { useSession } from "../session";
import { runCommand, useCommand } from "../shell/commands";
import { Button } from "../ui/button";
import { Loading } from "../ui/loading";
import { Tabs } from "../ui/tabs";
import { EnableTrading, mayTrade } from "./enable-trading";
import { check } from "./order-check";
import { type DraftField, hasField, newDraft, type OrderDraft, type Side } from "./order-draft";
import { OrderFields } from "./order-fields";
import { OrderSummary } from "./order-summary";
import { isOfKey, type Refusal } from "./refusals";
import { useSubmit } from "./submit";
import { useSurroundings } from "./surroundings";

export interface OrderFormProps {
  market: string;
  /** A price to fill in. A new object fills it in again. */
  picked?: { readonly price: string } | null;
  /** A command wants something of the form: it has to be in view. */
  onWanted?: () => void;
}

const KINDS = [
  { value: "limit", label: "Limit" },
  { value: "market", label: "Market" },
  { value: "stop", label: "Stop" },
] as const;

export function OrderForm({ market: symbol, picked = null, onWanted }: OrderFormProps): ReactElement {
  const { status } = useSession();
  const agent = useAgent();
  const { around, market, watch } = useSurroundings(symbol);
  const [draft, setDraft] = useState<OrderDraft>(newDraft);
  const [seen, setSeen] = useState<ReadonlySet<DraftField>>(new Set());
  const [refused, setRefusal] = useState<Refusal | null>(null);
  const form = useRef<HTMLFormElement>(null);
  const hasPrice = useRef(false);
  const sentSize = useRef("");

  const change = useCallback((patch: Partial<OrderDraft>) => {
    setDraft((before) => ({ ...before, ...patch }));
    setRefusal(null);
  }, []);

  const lastPrice = around?.lastPrice ?? null;
  useEffect(() => {
    if (hasPrice.current || lastPrice === null) return;
    hasPrice.current = true;
    setDraft((before) => (before.price === "" ? { ...before, price: lastPrice } : before));
  }, [lastPrice]);

  useEffect(() => {
    if (picked === null) return;
    hasPrice.current = true;
    setRefusal(null);
    setDraft((before) => ({
      ...before,
      price: picked.price,
      ...(before.kind === "market" ? { kind: "limit" } : {}),
      ...(before.kind === "stop" && before.then === "market" ? { trigger: picked.price, price: before.price } : {}),
    }));
  }, [picked]);

  const [turns, setTurns] = useState(0);
  const turn = (side: Side): void => {
    change({ side });
    setTurns(turns + 1);
    onWanted?.();
  };
  useEffect(() => {
    // Not before it is in view.
    if (turns > 0) form.current?.querySelector<HTMLInputElement>("input[name=size]")?.focus();
  }, [turns]);
  useCommand({ id: "buy", title: "Buy", keys: "b", group: "Trade", run: () => turn("buy") });
  useCommand({ id: "sell", title: "Sell", keys: "s", group: "Trade", run: () => turn("sell") });

  const checked = around === null ? null : check(draft, around);
  const { state, send } = useSubmit({
    onPlaced() {
      // What was typed meanwhile is another order's.
      setDraft((before) => (before.size === sentSize.current ? { ...before, size: "" } : before));
      setSeen(new Set());
    },
    onRefused: setRefusal,
  });

  function submit(event: FormEvent): void {
    event.preventDefault();
    if (status !== "signed-in") return runCommand("start");
    if (checked === null || around === null || !mayTrade(agent)) return;
    setSeen(new Set<DraftField>(["price", "trigger", "size", "goodTill", "order"]));
    const first = checked.errors[0];
    if (first !== undefined) {
      form.current?.querySelector<HTMLInputElement>(`input[name=${first.field}]`)?.focus();
      return;
    }
    if (checked.request === null) return;
    sentSize.current = draft.size;
    setRefusal(null);
    void send(checked.request, checked.estimate, around.rules);
  }

  const base = market?.base ?? "";
  const refusal = refused !== null && !hasField(draft, refused.field) ? { ...refused, field: "order" as const } : refused;
  const keyFailed = refusal !== null && isOfKey(refusal.code);
  return (
    <form ref={form} className="order-form" aria-label="Place an order" noValidate onSubmit={submit}>
      {watch}
      <Tabs
        label="Side"
        look="side"
        even
        tabs={[
          { value: "buy", label: "Buy" },
          { value: "sell", label: "Sell" },
        ]}
        value={draft.side}
        onChange={(side) => change({ side })}
      />
      <Tabs label="Kind of order" look="pill" even tabs={KINDS} value={draft.kind} onChange={(kind) => change({ kind })} />
      {around === null || checked === null ? (
        <Loading />
      ) : (
        <>
          <OrderFields
            draft={draft}
            around={around}
            checked={checked}
            seen={seen}
            refusal={refusal}
            onChange={change}
            onSeen={(field) => setSeen((before) => (before.has(field) ? before : new Set([...before, field])))}
          />
          <OrderSummary draft={draft} checked={checked} rules={around.rules} />
          {refusal !== null && refusal.field === "order" && !keyFailed && (
            <p className="note bad" role="alert">
              {refusal.text}
            </p>
          )}
          {state === "unknown" && (
            <p className="note warn" role="status">
              No answer came, so it is not known yet whether the order was placed. It is being looked up.
            </p>
          )}
        </>
      )}
      <div className="order-end">
        {status === "signed-in" && agent.settled && !mayTrade(agent) ? (
          <EnableTrading wasRefused={keyFailed} />
        ) : (
          <Button
            type="submit"
            kind={draft.side}
            size="l"
            block
            disabled={checked === null || status === "unknown"}
            busy={state !== "idle" || (status === "signed-in" && !agent.settled)}
          >
            {status === "signed-out" ? "Start trading" : state === "unknown" ? "Looking it up" : label(draft, base)}
          </Button>
        )}
        {status === "signed-in" && !agent.supported && (
          <p className="small muted">
            This browser can not keep a trading key (it has no Ed25519), so orders go with your session.
          </p>
        )}
      </div>
    </form>
  );
}

function label(draft: OrderDraft, base: string): string {
  return `${draft.side === "buy" ? "Buy" : "Sell"} ${base}`;
}
