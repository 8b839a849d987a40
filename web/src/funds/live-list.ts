/** Deposits and withdrawals as they are now: their history, kept up to date by the stream. */

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";

import { api } from "../api/client";
import { useSession } from "../session";
import { stream } from "../stream/stream";
import { type Listed, merged, told } from "./merged";
import { type Deposit, isFinal, type Withdrawal } from "./steps";

const PAGE = 25;

interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface LiveList<T> {
  /** Null until it has been read. */
  items: T[] | null;
  error: Error | null;
  hasMore: boolean;
  more(): void;
  retry(): void;
}

function useLiveList<T>(channel: "deposits" | "withdrawals", listed: Listed<T>, keepsUnfinished: boolean): LiveList<T> {
  const { status, me } = useSession();
  const owner = me?.address ?? null;
  const queries = useQueryClient();
  const [live, setLive] = useState<ReadonlyMap<string, T> | null>(null);
  const key = useMemo(() => ["private", channel, owner], [channel, owner]);

  useEffect(() => {
    if (owner === null) return;
    let snapshots = 0;
    setLive(null);
    return stream.subscribe<T[]>({ channel }, (message) => {
      if (message.kind === "ended") return;
      const kind = message.kind;
      setLive((now) => told(now, kind, message.data, listed));
      // What ended while nobody listened is in no snapshot: it has to be read.
      if (kind === "snapshot" && snapshots++ > 0) void queries.invalidateQueries({ queryKey: key });
    });
  }, [channel, owner, listed, queries, key]);

  const history = useInfiniteQuery({
    queryKey: key,
    enabled: status === "signed-in",
    refetchOnMount: "always", // what ended since it was read is in no snapshot
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) => api.get<Page<T>>(`/v1/${channel}`, { limit: PAGE, cursor: pageParam }),
    getNextPageParam: (last) => last.next_cursor,
  });
  const read = history.data;
  const items = useMemo(
    () => (read === undefined ? null : merged(read.pages.flatMap((page) => page.items), live, listed, keepsUnfinished)),
    [read, live, listed, keepsUnfinished],
  );
  return {
    items,
    error: history.error,
    hasMore: history.hasNextPage,
    more: () => void history.fetchNextPage(),
    retry: () => void history.refetch(),
  };
}

const DEPOSITS: Listed<Deposit> = {
  key: (item) => `${item.tx_hash}:${item.log_index}`,
  timeMs: (item) => item.time_ms,
  isFinal: (item) => item.status === "credited",
};

const WITHDRAWALS: Listed<Withdrawal> = {
  key: (item) => item.withdrawal_id,
  timeMs: (item) => item.requested_ms,
  isFinal,
};

export function useDeposits(): LiveList<Deposit> {
  return useLiveList("deposits", DEPOSITS, false);
}

export function useWithdrawals(): LiveList<Withdrawal> {
  return useLiveList("withdrawals", WITHDRAWALS, true);
}
