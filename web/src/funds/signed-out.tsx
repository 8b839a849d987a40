/** In place of a page that is about the person, while nobody is signed in. */

import { lazy, type ReactElement, Suspense, useState } from "react";

import { Button } from "../ui/button";
import { Empty } from "../ui/empty";

const StartDialog = lazy(() => import("../onboarding/start-dialog").then((part) => ({ default: part.StartDialog })));

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
      {open && (
        <Suspense>
          <StartDialog open onClose={() => setOpen(false)} />
        </Suspense>
      )}
    </>
  );
}
