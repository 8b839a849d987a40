/** One step at a time. */

import "./onboarding.css";

import type { ReactElement } from "react";

import { BrowserStep } from "./browser-step";
import { ChooseStep } from "./choose-step";
import { ImportStep } from "./import-step";
import { MakeStep } from "./make-step";
import type { Step, StepProps } from "./steps";
import { UnlockStep } from "./unlock-step";

export default function StartPanel({ step, ...props }: StepProps & { step: Step }): ReactElement {
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
