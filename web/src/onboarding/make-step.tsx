/** A new wallet: a name and one way to unlock it is all that it takes. */

import type { ReactElement } from "react";

import { wipe } from "../vault/bytes";
import { newEntropy } from "../vault/phrase";
import { Back } from "./back";
import { ProtectForm } from "./protect-form";
import type { StepProps } from "./steps";
import { useStoreWallet } from "./store-wallet";

export function MakeStep(props: StepProps): ReactElement {
  const store = useStoreWallet(props);
  return (
    <div className="stack">
      <ProtectForm
        verb="Make wallet"
        onProtect={async (name, method) => {
          const secret = { kind: "phrase", bytes: newEntropy() } as const;
          try {
            await store({ secret, name, backupConfirmed: false, method });
          } finally {
            wipe(secret.bytes);
          }
        }}
      />
      <Back onStep={props.onStep} />
    </div>
  );
}
