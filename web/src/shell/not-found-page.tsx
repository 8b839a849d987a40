/** An address that leads nowhere. */

import type { ReactElement } from "react";

import { Link } from "../router";
import { Empty } from "../ui/empty";

export default function NotFoundPage(): ReactElement {
  return (
    <div className="page narrow">
      <h1 className="visually-hidden">Page not found</h1>
      <Empty
        icon="search"
        title="There is no page here"
        detail="The address may be mistyped, or the page may have moved."
        action={
          <Link to="/trade" className="button primary m">
            Go to the market
          </Link>
        }
      />
    </div>
  );
}
