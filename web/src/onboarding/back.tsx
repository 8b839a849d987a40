/** Back to the choices. */

import type { ReactElement } from "react";

import { Button } from "../ui/button";
import type { StepProps } from "./steps";

export function Back({ onStep, label = "Other ways to start" }: Pick<StepProps, "onStep"> & { label?: string }): ReactElement {
  return (
    <Button kind="plain" size="s" className="back" onClick={() => onStep("choose")}>
      {label}
    </Button>
  );
}
