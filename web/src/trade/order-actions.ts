/** Cancels and amends orders, and tells what came of it. */

import { agent } from "../agent/agent";
import { ApiProblem, pathWith, type Schemas } from "../api/client";
import { confirmDialog } from "../ui/confirm";
import { shownAmount } from "../ui/money";
import { toast } from "../ui/toast";
import type { AmendChange } from "./amend-draft";
import { learn, type Order } from "./open-orders";
import { isUnknown, messageOf } from "./refusals";
import { sideText } from "./words";

function describe(order: Order): string {
  return `${sideText(order.side)} ${shownAmount(order.remaining)} ${order.market.split("-")[0] ?? ""}`;
}

export async function cancelOrder(order: Order): Promise<void> {
  const owner = agent.owner();
  try {
    const answer = await agent.request<Schemas["OrderAnswer"]>("DELETE", `/v1/orders/${order.order_id}`);
    learn(answer.order, answer.seq, owner);
    toast("ok", "Order cancelled", describe(order));
  } catch (error) {
    if (isUnknown(error)) {
      toast("info", "No answer yet", "Whether the order is cancelled shows in the list as soon as it is known");
    } else if (error instanceof ApiProblem && error.code === "unknown_order") {
      toast("info", "The order was not open any more", describe(order));
    } else {
      toast("error", "The order was not cancelled", messageOf(error));
    }
  }
}

/** Asks first. `market` bounds it to one market. */
export async function cancelAll(count: number, market?: string): Promise<void> {
  const owner = agent.owner();
  const where = market === undefined ? "in all markets" : `in ${market}`;
  const sure = await confirmDialog({
    title: count === 1 ? "Cancel your open order?" : `Cancel all ${count} open orders?`,
    body: `All of your open orders ${where} end at once. What they have set aside is available again.`,
    confirm: "Cancel all",
    cancel: "Keep them",
    kind: "danger",
  });
  if (!sure) return;
  if (agent.owner() !== owner) {
    toast("info", "Nothing was cancelled", "Another account is signed in now than when you were asked");
    return;
  }
  try {
    const path = pathWith("/v1/orders", { market });
    const answer = await agent.request<Schemas["CancelAllAnswer"]>("DELETE", path);
    toast("ok", answer.count === 1 ? "1 order cancelled" : `${answer.count} orders cancelled`);
  } catch (error) {
    if (isUnknown(error)) toast("info", "No answer yet", "What is cancelled shows in the list as soon as it is known");
    else toast("error", "The orders were not cancelled", messageOf(error));
  }
}

/** Throws what the exchange has refused, for the fields to show. */
export async function amendOrder(order: Order, change: AmendChange): Promise<void> {
  const owner = agent.owner();
  const path = `/v1/orders/${order.order_id}`;
  const answer = await agent.request<Schemas["PlaceOrderAnswer"]>("PATCH", path, change);
  learn(answer.order, answer.seq, owner);
  const filled = answer.fills.length > 0 ? "It has traded" : undefined;
  toast("ok", `Order changed to ${shownAmount(answer.order.size)} at ${shownAmount(answer.order.price ?? "")}`, filled);
}
