/** Sends the change of an order. What came of it is told by whoever asked, or by a toast when that is gone. */

import { useEffect, useRef, useState } from "react";

import { toast } from "../ui/toast";
import type { AmendChange } from "./amend-draft";
import type { Order } from "./open-orders";
import { amendOrder } from "./order-actions";
import { isUnknown, type Refusal, refusalOf } from "./refusals";

export interface Amending {
  readonly busy: boolean;
  readonly refusal: Refusal | null;
  /** What was refused is being mended. */
  clear(): void;
  /** Whether there is nothing left to mend: it was changed, or nobody can say yet. */
  send(change: AmendChange): Promise<boolean>;
}

export function useAmend(order: Order): Amending {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    return () => {
      alive.current = false;
    };
  }, []);

  async function send(change: AmendChange): Promise<boolean> {
    setBusy(true);
    try {
      await amendOrder(order, change);
      return true;
    } catch (error) {
      if (isUnknown(error)) {
        toast("info", "No answer yet", "Whether the order has changed shows in the list as soon as it is known");
        return true;
      }
      const refused = refusalOf(error);
      if (alive.current) setRefusal(refused);
      else toast("error", "The order was not changed", refused.text);
      return false;
    } finally {
      if (alive.current) setBusy(false);
    }
  }
  return { busy, refusal, clear: () => setRefusal(null), send };
}
