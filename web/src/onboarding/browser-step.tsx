/** Wallets that the browser has. */

import { type ReactElement, useState } from "react";

import { Button } from "../ui/button";
import { Empty } from "../ui/empty";
import { Icon } from "../ui/icon";
import { connect } from "../wallet/injected";
import { type AnnouncedProvider, askProviders, useProviders } from "../wallet/providers";
import { SignatureRefused } from "../wallet/signer";
import { messageOf } from "../wallet/words";
import { Back } from "./back";
import { useSignIn } from "./sign-in";
import type { StepProps } from "./steps";

export function BrowserStep({ onStep, onDone }: StepProps): ReactElement {
  const providers = useProviders();
  const signIn = useSignIn();
  const [busy, setBusy] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  async function use(wallet: AnnouncedProvider): Promise<void> {
    setBusy(wallet.id);
    setProblem(null);
    try {
      onDone(await signIn.withSigner(await connect(wallet)));
    } catch (error) {
      setProblem(error instanceof SignatureRefused ? `You refused in ${wallet.name}. Nothing was signed.` : messageOf(error));
    } finally {
      setBusy(null);
    }
  }

  return (
    <div className="stack">
      {providers.length === 0 ? (
        <Empty
          icon="wallet"
          title="No browser wallet found"
          detail="Is one installed, and allowed on this page? You can also make a wallet here: it needs no extension."
          action={
            <div className="row wrap">
              <Button icon="refresh" onClick={() => void askProviders()}>
                Look again
              </Button>
              <Button kind="primary" onClick={() => onStep("make")}>
                Make a wallet
              </Button>
            </div>
          }
        />
      ) : (
        <>
          <p className="muted">It asks you twice: to connect, and to sign in. Neither costs anything.</p>
          <ul className="stack">
            {providers.map((wallet) => (
              <li key={wallet.id}>
                <button
                  type="button"
                  className="choice"
                  disabled={busy !== null}
                  aria-busy={busy === wallet.id || undefined}
                  onClick={() => void use(wallet)}
                >
                  {wallet.icon === null ? <Icon name="wallet" size={22} /> : <img src={wallet.icon} alt="" width={24} height={24} />}
                  <span className="strong">{wallet.name}</span>
                  {busy === wallet.id ? <span className="spinner" aria-hidden="true" /> : <Icon name="chevron-right" />}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
      {problem !== null && (
        <p className="note bad" role="alert">
          {problem}
        </p>
      )}
      <Back onStep={onStep} />
    </div>
  );
}
