/** The three ways to have a wallet. */

import { type ReactElement, useEffect, useRef } from "react";

import { Icon, type IconName } from "../ui/icon";
import { useWalletState } from "../wallet/wallets";
import type { Step, StepProps } from "./steps";

interface Choice {
  step: Step;
  icon: IconName;
  title: string;
  detail: string;
}

const CHOICES: readonly Choice[] = [
  { step: "make", icon: "plus", title: "Make a wallet", detail: "Here in your browser, in a few seconds. Nothing to install." },
  { step: "import", icon: "upload", title: "I have a phrase or keystore", detail: "Bring a wallet that you made before." },
  { step: "browser", icon: "wallet", title: "Use a browser wallet", detail: "An extension, or the browser’s own wallet." },
];

const UNLOCK: Choice = { step: "unlock", icon: "unlock", title: "Unlock a wallet of this browser", detail: "One was made here before." };

export function ChooseStep({ onStep }: StepProps): ReactElement {
  const { wallets } = useWalletState();
  const first = useRef<HTMLButtonElement>(null);
  useEffect(() => first.current?.focus(), []);
  const choices = wallets.length > 0 ? [UNLOCK, ...CHOICES] : CHOICES;
  return (
    <div className="stack">
      <p className="muted">Your wallet is your account here: no name, no e-mail, no password kept by us.</p>
      <ul className="stack">
        {choices.map((choice, i) => (
          <li key={choice.step}>
            <button
              ref={i === 0 ? first : null}
              type="button"
              className={i === 0 ? "choice first" : "choice"}
              onClick={() => onStep(choice.step)}
            >
              <Icon name={choice.icon} size={22} />
              <span>
                <span className="strong">{choice.title}</span>
                <span className="muted">{choice.detail}</span>
              </span>
              <Icon name="chevron-right" />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
