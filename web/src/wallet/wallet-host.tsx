/** Stands once in the app: shows what waits for the person, and notices when the wallet in use goes away. */

import { Component, lazy, type ReactElement, type ReactNode, Suspense, useEffect } from "react";

import { useSession } from "../session";
import { toast } from "../ui/toast";
import type { InjectedSigner } from "./injected";
import { type Pending, usePending } from "./requests";
import { setSigner, useWalletState } from "./wallets";

const StartDialog = lazy(() => import("../onboarding/start-dialog").then((module) => ({ default: module.StartDialog })));
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
  return (
    <Refusing key={pending.id} pending={pending}>
      <Suspense>
        {pending.request.kind === "start" ? (
          <Start pending={pending as unknown as Pending<"start">} />
        ) : (
          <RequestDialog pending={pending} />
        )}
      </Suspense>
    </Refusing>
  );
}

function Start({ pending }: { pending: Pending<"start"> }): ReactElement {
  return <StartDialog open onClose={() => pending.refuse()} onDone={(signer) => pending.answer(signer)} />;
}

/** What cannot be shown cannot be agreed to: whoever asked gets the error, and the app goes on. */
class Refusing extends Component<{ pending: Pending; children: ReactNode }, { failed: boolean }> {
  override state = { failed: false };

  static getDerivedStateFromError(): { failed: boolean } {
    return { failed: true };
  }

  override componentDidCatch(error: unknown): void {
    this.props.pending.refuse(error);
  }

  override render(): ReactNode {
    return this.state.failed ? null : this.props.children;
  }
}
