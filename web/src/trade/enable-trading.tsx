/** Asks, once per browser, for a key that trades without a prompt for every order. */

import { type ReactElement, useState } from "react";

import { OtherWallet } from "../agent/agent-store";
import { useAgent } from "../agent/agent";
import { Button } from "../ui/button";
import { toast } from "../ui/toast";
import { SignatureRefused } from "../wallet/signer";
import { messageOf } from "./refusals";

/** Whether an order can be sent now; without Ed25519 the session sends it. */
export function mayTrade(agent: { state: string; supported: boolean; settled: boolean }): boolean {
  return agent.settled && (agent.state === "ready" || !agent.supported);
}

/** Makes and approves a key; tells what came of it. */
export function useApprove(): { busy: boolean; approve(): Promise<boolean> } {
  const { approve } = useAgent();
  const [busy, setBusy] = useState(false);
  return {
    busy,
    async approve() {
      setBusy(true);
      try {
        await approve();
        toast("ok", "This browser may trade", "For 30 days, with no question for every order");
        return true;
      } catch (error) {
        if (error instanceof SignatureRefused) toast("info", "Not approved", "You did not sign. Nothing was changed");
        else if (error instanceof OtherWallet) toast("error", "Another wallet is connected", error.message);
        else toast("error", "The key could not be approved", messageOf(error));
        return false;
      } finally {
        setBusy(false);
      }
    },
  };
}

const WHY = {
  none: "Sign once, and this browser can place orders without asking each time. Its key can never withdraw.",
  ready: "",
  revoked: "The key of this browser was revoked. Approve a new one to go on trading.",
  expired: "The key of this browser has expired. Approve a new one to go on trading.",
} as const;

/** `wasRefused`: an order was just turned down for want of a key. */
export function EnableTrading({ wasRefused = false }: { wasRefused?: boolean }): ReactElement {
  const agent = useAgent();
  const { busy, approve } = useApprove();
  const fresh = agent.state === "none";
  return (
    <div className="stack">
      <p className={fresh ? "note" : "note bad"} role={fresh ? undefined : "alert"}>
        {wasRefused && "Your order was not placed. "}
        {WHY[agent.state]}
      </p>
      <Button kind="primary" size="l" block icon="key" busy={busy} onClick={() => void approve()}>
        {fresh ? "Enable trading" : "Approve a new key"}
      </Button>
    </div>
  );
}
