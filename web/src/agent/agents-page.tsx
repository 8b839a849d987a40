/** All keys that may act for the owner: what each may do, until when, and how to end it. Stands in the settings. */

import "./agent.css";

import { useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { type ReactElement, useId } from "react";

import { api, ApiProblem, type Schemas } from "../api/client";
import { useSession } from "../session";
import { EnableTrading } from "../trade/enable-trading";
import { messageOf } from "../trade/refusals";
import { Button } from "../ui/button";
import { confirmDialog } from "../ui/confirm";
import { Empty } from "../ui/empty";
import { Hash } from "../ui/hash";
import { Loading } from "../ui/loading";
import { toast } from "../ui/toast";
import { useAgent } from "./agent";
import { agentStore } from "./agent-store";

type AgentItem = Schemas["AgentItem"];

const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });

export function AgentsPage(): ReactElement {
  const id = useId();
  const { status } = useSession();
  return (
    <section className="panel" aria-labelledby={id}>
      <header className="panel-head">
        <h2 id={id}>Trading keys</h2>
      </header>
      <div className="panel-body stack">
        <p className="muted">
          A trading key places and cancels orders for you without asking each time. It can never withdraw, and you can
          end it at any moment.
        </p>
        {status === "signed-in" ? (
          <>
            <ThisBrowser />
            <AgentList />
          </>
        ) : (
          <Empty icon="key" title="Sign in to see your trading keys" />
        )}
      </div>
    </section>
  );
}

function ThisBrowser(): ReactElement | null {
  const { state, supported, settled } = useAgent();
  if (!settled) return <Loading />;
  if (!supported) {
    return <p className="note">This browser can not make such keys (it has no Ed25519). Its orders go with your session.</p>;
  }
  return state === "ready" ? null : <EnableTrading />;
}

function AgentList(): ReactElement {
  const owner = useSession().me?.address ?? null;
  const { key: mine, settled } = useAgent();
  const { data, isError, hasNextPage, isFetchingNextPage, fetchNextPage, refetch } = useInfiniteQuery({
    queryKey: ["private", "agents", owner, mine],
    queryFn: ({ pageParam }) => api.get<Schemas["AgentsAnswer"]>("/v1/agents", { limit: 20, cursor: pageParam }),
    enabled: settled, // one that was left here before is told of by then
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
  });
  if (isError && data === undefined) {
    return <Empty title="The keys could not be loaded" action={<Button onClick={() => void refetch()}>Try again</Button>} />;
  }
  if (data === undefined) return <Loading />;
  const agents = data.pages.flatMap((page) => page.items);
  if (agents.length === 0) return <Empty icon="key" title="No trading keys yet" />;
  return (
    <>
      <ul className="agents">
        {agents.map((agent) => (
          <AgentRow key={agent.key} agent={agent} isMine={agent.key === mine} />
        ))}
      </ul>
      {hasNextPage && (
        <Button size="s" busy={isFetchingNextPage} onClick={() => void fetchNextPage()}>
          Load more
        </Button>
      )}
    </>
  );
}

const STATES = { active: "Active", expired: "Expired", revoked: "Revoked" } as const;
const TONES = { active: "badge good", expired: "badge", revoked: "badge bad" } as const;

function AgentRow({ agent, isMine }: { agent: AgentItem; isMine: boolean }): ReactElement {
  const revoke = useRevoke();
  const may = agent.scopes.map((scope) => (scope === "read" ? "read" : "trade")).join(" and ");
  const markets = agent.markets.length === 0 ? "all markets" : agent.markets.join(", ");
  const accounts =
    agent.sub_accounts.length === 0 ? "all accounts" : `account ${agent.sub_accounts.join(", ")}`;
  return (
    <li className="agent">
      <div className="grow stack tight">
        <span className="row wrap">
          <span className="strong break">{agent.name}</span>
          <span className={TONES[agent.state]}>{STATES[agent.state]}</span>
          {isMine && <span className="badge accent">This browser</span>}
        </span>
        <span className="small muted">
          May {may} in {markets}, {accounts}
          {agent.ip_ranges.length > 0 && `, from ${agent.ip_ranges.join(", ")}`}
        </span>
        <span className="small muted row wrap tight">
          <Hash value={agent.key} label="key" />
          <span>
            · Approved {DATE.format(agent.approved_at_ms)}, {endText(agent)}
          </span>
        </span>
      </div>
      {agent.state === "active" && (
        <Button size="s" aria-label={`Revoke ${agent.name}`} onClick={() => void revoke(agent, isMine)}>
          Revoke
        </Button>
      )}
    </li>
  );
}

function endText(agent: AgentItem): string {
  if (agent.revoked_at_ms !== null) return `revoked ${DATE.format(agent.revoked_at_ms)}`;
  return `${agent.state === "expired" ? "ended" : "ends"} ${DATE.format(agent.expires_at_ms)}`;
}

function useRevoke(): (agent: AgentItem, isMine: boolean) => Promise<void> {
  const queries = useQueryClient();
  return async (agent, isMine) => {
    const sure = await confirmDialog({
      title: `Revoke “${agent.name}”?`,
      body: isMine
        ? "This browser then asks for a new key before its next order. Open orders stay."
        : "Whoever uses this key can do nothing more with it, for ever. Orders that it has placed stay.",
      confirm: "Revoke",
      cancel: "Keep it",
      kind: "danger",
    });
    if (!sure) return;
    try {
      await api.delete<Schemas["AgentAnswer"]>(`/v1/agents/${agent.key}`);
      toast("ok", "Key revoked", agent.name);
    } catch (error) {
      if (!(error instanceof ApiProblem && error.status === 404)) {
        toast("error", "The key was not revoked", messageOf(error));
        return;
      }
    }
    await agentStore.revoked(agent.key);
    await queries.invalidateQueries({ queryKey: ["private", "agents"] });
  };
}
