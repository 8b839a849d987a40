/** The end of a list that has more pages, and what stands in its place when it could not be had. */

import type { ReactElement, ReactNode } from "react";

import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import type { Paged } from "./pages";

export function PagedList<T>({ paged, children }: { paged: Paged<T>; children: ReactNode }): ReactElement {
  if (paged.failed) {
    return (
      <Empty
        title="This could not be loaded"
        detail="The exchange did not answer as it should."
        action={<Button onClick={paged.again}>Try again</Button>}
      />
    );
  }
  return (
    <>
      {children}
      {paged.hasMore && (
        <div className="load-more">
          <Button size="s" busy={paged.loadingMore} onClick={paged.loadMore}>
            Load more
          </Button>
        </div>
      )}
    </>
  );
}
