/** Sends a checked order, asks before it if the person wants that, and tells what became of it. */

import { useCallback, useEffect, useRef, useState } from "react";

import { agent } from "../agent/agent";
import type { Schemas } from "../api/client";
import { plus } from "../numbers";
import { useSettings } from "../shell/settings";
import { confirmDialog } from "../ui/confirm";
import { shownAmount } from "../ui/money";
import { toast } from "../ui/toast";
import type { MarketRules } from "./market-rules";
import type { Order } from "./open-orders";
import type { OrderRequest } from "./order-check";
import type { Estimate } from "./order-estimate";
import { placeOrder } from "./place-order";
import { type Refusal, refusalOf } from "./refusals";
import { dateTimeText, sideText, statusText, TIME_IN_FORCE_WORDS } from "./words";

export type SubmitState = "idle" | "sending" | "unknown";

const LOST: Refusal = {
  field: "order",
  code: "lost",
  text: "The order did not arrive: nothing was placed. You can send it again.",
  nearest: [],
};

export interface Submitting {
  onPlaced(): void;
  onRefused(refusal: Refusal): void;
}

export function useSubmit({ onPlaced, onRefused }: Submitting) {
  const [state, setState] = useState<SubmitState>("idle");
  const { confirmOrders } = useSettings();
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    return () => {
      alive.current = false;
    };
  }, []);

  const send = useCallback(
    async (request: OrderRequest, estimate: Estimate | null, rules: MarketRules) => {
      const owner = agent.owner();
      if (confirmOrders && !(await confirmDialog(question(request, estimate, rules)))) return;
      if (agent.owner() !== owner) {
        toast("info", "Nothing was sent", "Another account is signed in now than when you were asked");
        return;
      }
      setState("sending");
      try {
        const outcome = await placeOrder(request, () => {
          if (alive.current) setState("unknown"); // the form says it
          else toast("info", "No answer yet", "It is not known whether the order was placed. It is being looked up");
        });
        if (outcome.kind === "lost") {
          // In the form it stays: who waited for the exchange to come back looks elsewhere meanwhile.
          if (alive.current) onRefused(LOST);
          else toast("error", "The order did not arrive", "Nothing was placed. You can send it again");
        } else if (outcome.kind === "unseen") {
          toast("info", "No answer came before you left the account", "Whether the order was placed stands in its history");
        } else {
          told(outcome.order, outcome.fills, rules);
          if (alive.current) onPlaced();
        }
      } catch (error) {
        const refusal = refusalOf(error);
        if (alive.current) onRefused(refusal);
        else toast("error", "The order was refused", refusal.text);
      } finally {
        if (alive.current) setState("idle");
      }
    },
    [confirmOrders, onPlaced, onRefused],
  );
  return { state, send };
}

function told(order: Order, fills: readonly Traded[], rules: MarketRules): void {
  const paid = paidText(fills, rules.quote);
  const what = `${sideText(order.side)} ${shownAmount(order.size)} ${rules.base}`;
  if (order.status === "filled") {
    toast("ok", `${order.side === "buy" ? "Bought" : "Sold"} ${shownAmount(order.filled)} ${rules.base}`, paid);
  } else if (order.status === "open") {
    const waits = order.trigger !== null && !order.trigger.met;
    const at = waits ? order.trigger?.price : order.price;
    const some = /[1-9]/.test(order.filled) ? `${shownAmount(order.filled)} filled at once` : undefined;
    toast("ok", `${what} ${waits ? "waits for" : "stands at"} ${shownAmount(at ?? "")}`, some);
  } else if (/[1-9]/.test(order.filled)) {
    const done = order.side === "buy" ? "Bought" : "Sold";
    const rest = `${statusText(order)}: ${shownAmount(order.remaining)}`;
    toast("ok", `${done} ${shownAmount(order.filled)} ${rules.base}`, paid === undefined ? rest : `${paid}. ${rest}`);
  } else {
    toast("info", "Nothing was traded", `${what}: ${statusText(order).toLowerCase()}`);
  }
}

type Traded = Pick<Schemas["FillItem"], "amount" | "fee">;

/** What all of it came to; undefined when that was not told, as when the answer was lost. */
export function paidText(fills: readonly Traded[], quote: string): string | undefined {
  if (fills.length === 0) return undefined;
  const fee = plus(...fills.map((fill) => fill.fee));
  const words = fee.startsWith("-") ? `rebate ${shownAmount(fee.slice(1))}` : `fee ${shownAmount(fee)}`;
  return `For ${shownAmount(plus(...fills.map((fill) => fill.amount)))} ${quote}, ${words}`;
}

function question(request: OrderRequest, estimate: Estimate | null, rules: MarketRules) {
  const buys = request.side === "buy";
  const size = request.size ?? estimate?.size ?? "";
  const verb = buys ? "Buy" : "Sell";
  const amount = (text: string) => `${shownAmount(text)} ${rules.quote}`;
  const lines = [
    { label: "Market", value: request.market },
    { label: request.amount ? "Size, about" : "Size", value: `${shownAmount(size)} ${rules.base}` },
  ];
  if (request.amount) lines.push({ label: "Spends, at most", value: amount(request.amount) });
  if (request.trigger) {
    const rises = (request.trigger.type === "stop") === buys;
    lines.push({ label: rises ? "Once it rises to" : "Once it falls to", value: amount(request.trigger.price) });
  }
  if (request.type === "market") {
    lines.push({ label: "Price", value: "Market" });
    const worst = request.price ?? estimate?.limitPrice;
    if (worst) lines.push({ label: buys ? "Never above" : "Never below", value: amount(worst) });
  } else if (request.price) {
    lines.push({ label: "Price", value: amount(request.price) });
  }
  if (request.good_till_ms) lines.push({ label: "Until", value: dateTimeText(request.good_till_ms) });
  else if (request.time_in_force) lines.push({ label: "How long", value: TIME_IN_FORCE_WORDS[request.time_in_force] });
  if (estimate !== null) {
    lines.push({ label: "Fee, about", value: amount(estimate.fee) });
    lines.push({ label: buys ? "You pay, about" : "You receive, about", value: amount(estimate.total) });
  }
  return { title: `${verb} ${shownAmount(size)} ${rules.base}?`, lines, confirm: verb, kind: request.side };
}
