/** Histories page by page: what the exchange has, with what came live since on top. */

import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useMemo } from "react";

import { api, type Query } from "../api/client";
import { useSession } from "../session";

interface Page<T> {
  /** As of when it is true. */
  readonly seq: number;
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
const SOON_MS = 250;

/** What the stream has told. */
export interface Newer<T> {
  readonly rows: readonly T[];
  /** Since when it has told all: a page that ends before that leaves something out. */
  readonly sinceSeq: number;
}

/** How rows are told apart, and put in order: by a whole number that grows, the newest first. */
export interface RowIds<T> {
  key(row: T): string;
  id(row: T): string;
}

/** The pages with what is newer; what is in both is shown once, as it is in `newer`. */
export function usePaged<T>(path: string, query: Query, newer: Newer<T>, ids: RowIds<T>): Paged<T> {
  const owner = useSession().me?.address ?? null;
  const { sinceSeq } = newer;
  const result = useInfiniteQuery({
    queryKey: ["private", path, owner, query],
    queryFn: ({ pageParam }) => api.get<Page<T>>(path, { ...query, limit: PAGE, cursor: pageParam }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    enabled: owner !== null,
    staleTime: 0,
  });
  const { refetch, dataUpdatedAt } = result;
  const pages = result.data?.pages;
  const pagesSeq = pages?.[0]?.seq ?? Infinity;
  useEffect(() => {
    if (pagesSeq >= sinceSeq) return;
    const timer = setTimeout(() => void refetch(), SOON_MS); // the exchange's own tables may be a moment behind, too
    return () => clearTimeout(timer);
  }, [pagesSeq, sinceSeq, dataUpdatedAt, refetch]);
  const rows = useMemo(
    () => (pages === undefined ? null : withNewer(newer.rows, pages.flatMap((page) => page.items), ids)),
    [pages, newer.rows, ids],
  );
  return {
    rows,
    failed: result.isError && rows === null,
    hasMore: result.hasNextPage,
    loadingMore: result.isFetchingNextPage,
    loadMore: () => void result.fetchNextPage(),
    again: () => void result.refetch(),
  };
}

export function withNewer<T>(newer: readonly T[], older: readonly T[], { key, id }: RowIds<T>): readonly T[] {
  const known = new Set(newer.map(key));
  return [...newer, ...older.filter((row) => !known.has(key(row)))].sort((one, other) => byNumber(id(other), id(one)));
}

/** Whole numbers as texts, without zeros before them. */
function byNumber(one: string, other: string): number {
  return one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);
}
