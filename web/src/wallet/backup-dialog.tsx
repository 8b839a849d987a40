/** Has the person write the phrase down, and asks for three of its words to see that it was. */

import "./wallet.css";

import { type FormEvent, type ReactElement, useState } from "react";

import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { TextInput } from "../ui/text-input";
import { toast } from "../ui/toast";
import type { Wallet } from "../vault/record";
import { wordsAsked } from "./backup-check";
import { PhraseWords } from "./phrase-words";
import type { Pending } from "./requests";
import { useUnlock } from "./unlock";
import { useGoneWithSession } from "./use-gone-with-session";
import { openVault } from "./wallets";
import { messageOf } from "./words";

type Step = { at: "unlock" } | { at: "words"; phrase: string } | { at: "check"; phrase: string; asked: readonly number[] };

export function BackupDialog({ pending, wallet }: { pending: Pending<"backup">; wallet: Wallet }): ReactElement {
  const [step, setStep] = useState<Step>({ at: "unlock" });
  useGoneWithSession(pending, wallet.address, false);
  async function confirmed(): Promise<void> {
    await (await openVault()).confirmBackup(wallet.address);
    toast("ok", "Backup confirmed", "Your deposit addresses are shown now.");
    pending.answer();
  }
  return (
    <Dialog title="Back up your wallet" open onClose={() => pending.refuse()} closeOnBackdrop={false}>
      {step.at === "unlock" && <UnlockStep wallet={wallet} onPhrase={(phrase) => setStep({ at: "words", phrase })} />}
      {step.at === "words" && (
        <WordsStep
          phrase={step.phrase}
          onWritten={() => setStep({ at: "check", phrase: step.phrase, asked: wordsAsked(step.phrase) })}
        />
      )}
      {step.at === "check" && (
        <CheckStep
          phrase={step.phrase}
          asked={step.asked}
          onBack={() => setStep({ at: "words", phrase: step.phrase })}
          onRight={confirmed}
        />
      )}
    </Dialog>
  );
}

function UnlockStep({ wallet, onPhrase }: { wallet: Wallet; onPhrase(phrase: string): void }): ReactElement {
  const unlock = useUnlock({
    wallet,
    verb: "Show the words",
    block: true,
    async onUnlock(by) {
      const vault = await openVault();
      const phrase = await vault.withUnlocked(wallet.address, by, async (opened) => opened.phrase());
      if (phrase === null) throw new Error("This wallet was made of a key: its keystore file is its backup");
      onPhrase(phrase);
    },
  });
  return (
    <div className="stack">
      <p>Your wallet lives in this browser only. A few words bring it back on any device, and whoever has them has your money.</p>
      <p className="muted">Take a pen and paper, and look around: nobody should see your screen.</p>
      {unlock.fields}
      {unlock.button}
    </div>
  );
}

function WordsStep({ phrase, onWritten }: { phrase: string; onWritten(): void }): ReactElement {
  return (
    <div className="stack">
      <p>Write these words down in this order. No photo, no file, no message.</p>
      <PhraseWords phrase={phrase} />
      <p className="note warn">Nobody from the exchange will ever ask for them.</p>
      <Button kind="primary" block onClick={onWritten}>
        I have written them down
      </Button>
    </div>
  );
}

interface CheckStepProps {
  phrase: string;
  asked: readonly number[];
  onBack(): void;
  onRight(): Promise<void>;
}

function CheckStep({ phrase, asked, onBack, onRight }: CheckStepProps): ReactElement {
  const words = phrase.split(" ");
  const [typed, setTyped] = useState<readonly string[]>(asked.map(() => ""));
  const [checked, setChecked] = useState(false);
  const [busy, setBusy] = useState(false);
  const isRight = (i: number): boolean => typed[i]?.trim().toLowerCase() === words[asked[i] as number];

  async function submit(event: FormEvent): Promise<void> {
    event.preventDefault();
    setChecked(true);
    if (!asked.every((_, i) => isRight(i))) return;
    setBusy(true);
    try {
      await onRight();
    } catch (error) {
      toast("error", "Not confirmed", messageOf(error));
      setBusy(false);
    }
  }

  return (
    <form className="stack" onSubmit={(event) => void submit(event)}>
      <p>Read these three words from your paper.</p>
      {asked.map((position, i) => (
        <Field
          key={position}
          label={`Word ${position + 1}`}
          error={checked && !isRight(i) ? "This is not the word at this place" : null}
        >
          <TextInput
            value={typed[i] ?? ""}
            onChange={(value) => setTyped(typed.map((each, j) => (j === i ? value : each)))}
            mono
            autoFocus={i === 0}
          />
        </Field>
      ))}
      <Button kind="primary" type="submit" block busy={busy}>
        Confirm
      </Button>
      <Button kind="plain" onClick={onBack}>
        Show the words again
      </Button>
    </form>
  );
}
