/** A wallet outside of this page has been asked, and has not answered yet. */

import type { ReactElement } from "react";

import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { PurposeFacts } from "./purpose-facts";
import type { Pending } from "./requests";

export function WaitingDialog({ pending }: { pending: Pending<"waiting"> }): ReactElement {
  const { wallet, purpose } = pending.request;
  const footer = <Button onClick={() => pending.refuse()}>Stop waiting</Button>;
  return (
    <Dialog title={purpose.title} open onClose={() => pending.refuse()} closeOnBackdrop={false} footer={footer}>
      <div className="stack">
        <PurposeFacts purpose={purpose} />
        <p className="row" role="status">
          <span className="spinner" aria-hidden="true" />
          <span>Confirm this in {wallet}.</span>
        </p>
        <p className="muted small">No window? Open the wallet from the browser’s toolbar. What you confirm there counts, even if you stop waiting here.</p>
      </div>
    </Dialog>
  );
}
