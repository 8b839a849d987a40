/** Histories page by page: what the exchange has, with what came live since on top. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useMemo } from "react";

import { api, type Query } from "../api/client";
import { useSession } from "../session";

interface Page<T> {
  readonly items: readonly T[];
  readonly next_cursor: string | null;
}

export interface Paged<T> {
  /** Null until the first page has come. */
  readonly rows: readonly T[] | null;
  readonly failed: boolean;
  readonly hasMore: boolean;
  readonly loadingMore: boolean;
  loadMore(): void;
  again(): void;
}

const PAGE = 50;

/** `newer` stands before the pages; what is in both is shown once, as it is in `newer`. */
export function usePaged<T>(path: string, query: Query, newer: readonly T[], keyOf: (row: T) => string): Paged<T> {
  const owner = useSession().me?.address ?? null;
  const result = useInfiniteQuery({
    queryKey: ["private", path, owner, query],
    queryFn: ({ pageParam }) => api.get<Page<T>>(path, { ...query, limit: PAGE, cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    enabled: owner !== null,
    staleTime: 0,
  });
  const pages = result.data?.pages;
  const rows = useMemo(() => (pages === undefined ? null : withNewer(newer, pages.flatMap((page) => page.items), keyOf)), [
    pages,
    newer,
    keyOf,
  ]);
  return {
    rows,
    failed: result.isError && rows === null,
    hasMore: result.hasNextPage,
    loadingMore: result.isFetchingNextPage,
    loadMore: () => void result.fetchNextPage(),
    again: () => void result.refetch(),
  };
}

export function withNewer<T>(newer: readonly T[], older: readonly T[], keyOf: (row: T) => string): readonly T[] {
  const known = new Set(newer.map(keyOf));
  return [...newer, ...older.filter((row) => !known.has(keyOf(row)))];
}
