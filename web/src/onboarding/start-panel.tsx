/** One step at a time. */

import "./onboarding.css";

import { type ReactElement, useEffect, useRef, useState } from "react";

import { useSession } from "../session";
import { shortHash } from "../ui/hash";
import { DamagedWallets } from "../wallet/damaged";
import { BrowserStep } from "./browser-step";
import { ChooseStep } from "./choose-step";
import { ImportStep } from "./import-step";
import { MakeStep } from "./make-step";
import type { Step, StepProps } from "./steps";
import { UnlockStep } from "./unlock-step";

export default function StartPanel({ step, ...props }: StepProps & { step: Step }): ReactElement {
  const session = useSession();
  const [before] = useState(session.me); // who signs in just now has come to the end
  const panel = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (document.activeElement === document.body) panel.current?.focus(); // what was pressed is no longer there
  }, [step]);
  return (
    <div ref={panel} tabIndex={-1} className="stack">
      {before !== null && (
        <p className="note">You are signed in as {shortHash(before.address)}. Another wallet is another account.</p>
      )}
      {(step === "choose" || step === "unlock") && <DamagedWallets onBring={() => props.onStep("import")} />}
      {stepOf(step, props)}
    </div>
  );
}

function stepOf(step: Step, props: StepProps): ReactElement {
  switch (step) {
    case "choose":
      return <ChooseStep {...props} />;
    case "make":
      return <MakeStep {...props} />;
    case "import":
      return <ImportStep {...props} />;
    case "browser":
      return <BrowserStep {...props} />;
    case "unlock":
      return <UnlockStep {...props} />;
  }
}
