/** Stands once in the app: shows what waits for the person, and notices when the wallet in use goes away. */

import { lazy, type ReactElement, Suspense, useEffect } from "react";

import { StartDialog } from "../onboarding/start-dialog";
import { useSession } from "../session";
import { toast } from "../ui/toast";
import type { InjectedSigner } from "./injected";
import { type Pending, usePending } from "./requests";
import { setSigner, useWalletState } from "./wallets";

const RequestDialog = lazy(() => import("./request-dialog"));

export function WalletHost(): ReactElement | null {
  const pending = usePending();
  const { status } = useSession();
  const { signer } = useWalletState();

  useEffect(() => {
    if (status === "signed-out") setSigner(null);
  }, [status]);

  useEffect(() => {
    if (signer?.kind !== "injected") return;
    return (signer as InjectedSigner).onGone(() => {
      setSigner(null);
      toast("info", `${signer.name} switched accounts`, "You stay signed in as before. To sign, choose that account there again.");
    });
  }, [signer]);

  if (pending === null) return null;
  if (pending.request.kind === "start") {
    const start = pending as unknown as Pending<"start">;
    return <StartDialog open onClose={() => start.refuse()} onDone={(made) => start.answer(made)} />;
  }
  return (
    <Suspense>
      <RequestDialog key={pending.id} pending={pending} />
    </Suspense>
  );
}
