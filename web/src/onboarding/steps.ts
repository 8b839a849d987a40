import type { Signer } from "../wallet/signer";

export type Step = "choose" | "make" | "import" | "browser" | "unlock";

export interface StepProps {
  onStep(step: Step): void;
  /** Signed in. */
  onDone(signer: Signer): void;
}
