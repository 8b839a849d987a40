/** A wallet is here already: unlock it, and be signed in. */

import { type ReactElement, useState } from "react";

import { Field } from "../ui/field";
import { Hash, shortHash } from "../ui/hash";
import { Icon } from "../ui/icon";
import { Select } from "../ui/select";
import { WalletDamaged } from "../vault/errors";
import type { DamagedWallet, Wallet } from "../vault/record";
import { DamagedNote } from "../wallet/damaged";
import { useUnlock } from "../wallet/unlock";
import { openVault, useWalletState, walletOf } from "../wallet/wallets";
import { Back } from "./back";
import { ChooseStep } from "./choose-step";
import { useSignIn } from "./sign-in";
import type { StepProps } from "./steps";

export function UnlockStep(props: StepProps): ReactElement {
  const { wallets } = useWalletState();
  const [chosen, setChosen] = useState<string | undefined>(wallets[0]?.address);
  const wallet = walletOf(wallets, chosen) ?? wallets[0];
  if (wallet === undefined) return <ChooseStep {...props} />;
  return (
    <div className="stack">
      {wallets.length > 1 ? (
        <Field label="Wallet">
          <Select
            value={wallet.address}
            onChange={setChosen}
            options={wallets.map(({ address, name }) => ({ value: address, label: `${name} (${shortHash(address)})` }))}
          />
        </Field>
      ) : (
        <div className="row">
          <Icon name="wallet" size={22} />
          <div>
            <p className="strong">{wallet.name}</p>
            <Hash value={wallet.address} label="address" />
          </div>
        </div>
      )}
      <UnlockOne key={wallet.address} wallet={wallet} {...props} />
      <Back onStep={props.onStep} label="Use another wallet, or your phrase" />
    </div>
  );
}

function UnlockOne({ wallet, onStep, onDone }: StepProps & { wallet: Wallet }): ReactElement {
  const signIn = useSignIn();
  const [damaged, setDamaged] = useState<DamagedWallet | null>(null);
  const unlock = useUnlock({
    wallet,
    verb: "Unlock",
    block: true,
    async onUnlock(by) {
      const vault = await openVault();
      const opened = await vault.unlock(wallet.address, by).catch((error: unknown) => {
        if (error instanceof WalletDamaged) {
          setDamaged({ key: wallet.address, address: wallet.address, name: wallet.name, what: error.what, isNewer: false });
        }
        throw error;
      });
      onDone(await signIn.withOpened(wallet, opened));
    },
  });
  if (damaged !== null) return <DamagedNote wallet={damaged} onBring={() => onStep("import")} />;
  return (
    <>
      {unlock.fields}
      {unlock.button}
    </>
  );
}
