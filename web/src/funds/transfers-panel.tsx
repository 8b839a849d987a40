/** A list of deposits or withdrawals, with what it says while it is read, when it can not be, and when it is empty. */

import type { ReactElement, ReactNode } from "react";

import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { Loading } from "../ui/loading";
import type { LiveList } from "./live-list";
import { inWords } from "./problem-text";

interface Props {
  what: "deposits" | "withdrawals";
  title: string;
  list: LiveList<unknown>;
  /** Above the list */
  before?: ReactNode;
  entries: readonly ReactElement[];
  empty: ReactElement;
}

export function TransfersPanel({ what, title, list, before, entries, empty }: Props): ReactElement {
  return (
    <section className="panel" aria-labelledby={`funds-${what}`}>
      <header className="panel-head">
        <h2 id={`funds-${what}`}>{title}</h2>
        <a href={`/v1/${what}.csv`} download>
          CSV
        </a>
      </header>
      <div className="panel-body flush">
        {before}
        {list.items === null ? <NotRead list={list} /> : entries.length === 0 ? empty : <ul className="entries">{entries}</ul>}
        {list.hasMore && (
          <div className="funds-more">
            <Button kind="plain" onClick={list.more}>
              Show older ones
            </Button>
          </div>
        )}
      </div>
    </section>
  );
}

function NotRead({ list }: { list: LiveList<unknown> }): ReactElement {
  if (list.error === null) {
    return (
      <div className="funds-wait">
        <Loading />
      </div>
    );
  }
  return <Empty icon="alert" title="This could not be read" detail={inWords(list.error).text} action={<Button onClick={list.retry}>Try again</Button>} />;
}
