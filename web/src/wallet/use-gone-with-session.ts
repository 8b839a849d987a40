/** What a wallet was asked for goes away with its session: nothing of it is shown or signed once it is locked. */

import { useEffect } from "react";

import { useSession } from "../session";
import type { Pending } from "./requests";

/** `isBusy`: it may be on its way already, and is not said to be refused. */
export function useGoneWithSession(pending: Pick<Pending, "refuse">, address: string, isBusy: boolean): void {
  const { status, me } = useSession();
  const isOver = status === "signed-out" || (me !== null && me.address !== address);
  useEffect(() => {
    if (isOver && !isBusy) pending.refuse();
  }, [isOver, isBusy, pending]);
}
