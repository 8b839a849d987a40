/** A whole history, oldest first. What is known already is kept: later only what came since is asked for. */

import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { api } from "../api/client";
import { useSession } from "../session";
import { stream } from "../stream/stream";

const PAGE = 500;
const MOST_PAGES = 60;

interface Page<T> {
  items: T[];
  next_cursor: string | null;
  resume_cursor: string | null;
}

export interface History<T> {
  items: T[];
  resume: string | null;
  /** Whether there is more than was read: then sums are of the oldest part only. */
  isCut: boolean;
}

type Name = "fills" | "ledger";

async function readOn<T>(path: string, known: History<T> | undefined): Promise<History<T>> {
  const items = [...(known?.items ?? [])];
  let resume = known?.resume ?? null;
  for (let pages = 0; pages < MOST_PAGES; pages++) {
    const page = await api.get<Page<T>>(path, { order: "asc", limit: PAGE, cursor: resume });
    items.push(...page.items);
    resume = page.resume_cursor ?? resume;
    if (page.next_cursor === null) return { items, resume, isCut: false };
  }
  return { items, resume, isCut: true };
}

function useWhole<T>(name: Name): { history: History<T> | undefined; error: Error | null } {
  const { status, me } = useSession();
  const queries: QueryClient = useQueryClient();
  const key = ["private", "whole", name, me?.address];
  const { data, error } = useQuery({
    queryKey: key,
    enabled: status === "signed-in",
    queryFn: () => readOn<T>(`/v1/${name}`, queries.getQueryData<History<T>>(key)),
    structuralSharing: false, // long lists: comparing them costs more than drawing again
    staleTime: 1_000,
  });
  return { history: data, error };
}

export function useWholeHistory<F, L>(): {
  fills: History<F> | undefined;
  ledger: History<L> | undefined;
  error: Error | null;
} {
  const { status } = useSession();
  const queries = useQueryClient();
  const fills = useWhole<F>("fills");
  const ledger = useWhole<L>("ledger");
  useEffect(() => {
    if (status !== "signed-in") return;
    // Balances change with everything that the two histories tell of. A burst of changes is one look.
    let timer = 0;
    const stop = stream.subscribe({ channel: "balances", sub_account: 0 }, (message) => {
      if (message.kind !== "update" || timer !== 0) return;
      timer = window.setTimeout(() => {
        timer = 0;
        void queries.invalidateQueries({ queryKey: ["private", "whole"] });
      }, 2_000);
    });
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [status, queries]);
  return { fills: fills.history, ledger: ledger.history, error: fills.error ?? ledger.error };
}
