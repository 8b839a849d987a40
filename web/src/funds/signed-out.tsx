/** In place of a page that is about the person, while nobody is signed in. */

import { type ReactElement, useState } from "react";

import { StartDialog } from "../onboarding/start-dialog";
import { Button } from "../ui/button";
import { Empty } from "../ui/empty";

export function SignedOut({ title, detail }: { title: string; detail: string }): ReactElement {
  const [open, setOpen] = useState(false);
  return (
    <>
      <header className="page-head">
        <h1>{title}</h1>
      </header>
      <section className="panel">
        <Empty
          icon="wallet"
          title="You are not signed in"
          detail={detail}
          action={
            <Button kind="primary" onClick={() => setOpen(true)}>
              Start
            </Button>
          }
        />
      </section>
      <StartDialog open={open} onClose={() => setOpen(false)} />
    </>
  );
}
