/** A text to sign, which is shown as it is. */

import type { ReactElement } from "react";

import { useDeployment } from "../api/deployment";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import type { Wallet } from "../vault/record";
import type { Pending } from "./requests";
import { isSignInText } from "./sign-in-text";
import { visible } from "./typed-data";
import { useUnlock } from "./unlock";
import { openVault } from "./wallets";

export function MessageDialog({ pending, wallet }: { pending: Pending<"message">; wallet: Wallet }): ReactElement {
  const { text } = pending.request;
  const chainId = useDeployment().data?.chain_id;
  const expected =
    chainId !== undefined && isSignInText(text, wallet.address, { host: location.host, origin: location.origin, chainId });
  const unlock = useUnlock({
    wallet,
    verb: "Sign",
    async onUnlock(by) {
      const vault = await openVault();
      pending.answer(
        await vault.withUnlocked(wallet.address, by, async (opened) =>
          (await opened.account()).signMessage({ message: text }),
        ),
      );
    },
  });
  const footer = (
    <>
      <div className="unlock-foot">{unlock.fields}</div>
      <Button onClick={() => pending.refuse()}>Cancel</Button>
      {unlock.button}
    </>
  );
  return (
    <Dialog title={expected ? "Sign in" : "Sign a text"} open onClose={() => pending.refuse()} closeOnBackdrop={false} footer={footer}>
      <div className="stack" role="group" aria-label="What is signed" tabIndex={0}>
        {!expected && (
          <p className="note bad" role="alert">
            This text is not how {location.host} signs you in. Sign it only if you know what it is for.
          </p>
        )}
        <pre className="signed-text">{text.split("\n").map((line) => (line === "" ? "" : visible(line))).join("\n")}</pre>
      </div>
    </Dialog>
  );
}
