/** Taking a wallet elsewhere: its phrase, or a keystore file. */

import { type ReactElement, useState } from "react";

import { NewPassword } from "../onboarding/new-password";
import { isAcceptable, strengthOf } from "../onboarding/password-strength";
import { Button } from "../ui/button";
import { Dialog } from "../ui/dialog";
import { toast } from "../ui/toast";
import { wipe } from "../vault/bytes";
import type { Wallet } from "../vault/record";
import { PhraseWords } from "./phrase-words";
import { saveJson } from "./save-file";
import { Progress } from "./unlock";
import { UnlockDialog } from "./unlock-dialog";
import { openVault } from "./wallets";

export function ExportPanel({ wallet }: { wallet: Wallet }): ReactElement {
  const [doing, setDoing] = useState<"phrase" | "keystore" | null>(null);
  const close = (): void => setDoing(null);
  return (
    <section className="panel" aria-labelledby="wallet-export">
      <header className="panel-head">
        <h2 id="wallet-export">Take it elsewhere</h2>
      </header>
      <div className="panel-body stack">
        <p className="muted">Any Ethereum wallet can read these. Whoever gets them has your money.</p>
        <div className="row wrap">
          {wallet.secretKind === "phrase" && (
            <Button icon="eye" onClick={() => setDoing("phrase")}>
              Show the recovery phrase
            </Button>
          )}
          <Button icon="download" onClick={() => setDoing("keystore")}>
            Download a keystore file
          </Button>
        </div>
      </div>
      {doing === "phrase" && <ShowPhrase wallet={wallet} onClose={close} />}
      {doing === "keystore" && <DownloadKeystore wallet={wallet} onClose={close} />}
    </section>
  );
}

interface DoingProps {
  wallet: Wallet;
  onClose(): void;
}

function ShowPhrase({ wallet, onClose }: DoingProps): ReactElement {
  const [phrase, setPhrase] = useState<string | null>(null);
  if (phrase !== null) {
    return (
      <Dialog title="Recovery phrase" open onClose={onClose} footer={<Button onClick={onClose}>Hide</Button>}>
        <div className="stack">
          <PhraseWords phrase={phrase} />
          <p className="note warn">Nobody from the exchange will ever ask for these words.</p>
        </div>
      </Dialog>
    );
  }
  return (
    <UnlockDialog
      title="Show the recovery phrase"
      wallet={wallet}
      verb="Show"
      onClose={onClose}
      onUnlock={async (by) => {
        const vault = await openVault();
        setPhrase(await vault.withUnlocked(wallet.address, by, async (opened) => opened.phrase()));
      }}
    >
      <p>Look around first: nobody else should see your screen.</p>
    </UnlockDialog>
  );
}

function DownloadKeystore({ wallet, onClose }: DoingProps): ReactElement {
  const [password, setPassword] = useState("");
  const [tried, setTried] = useState(false);
  const [writing, setWriting] = useState<number | null>(null);
  return (
    <UnlockDialog
      title="Download a keystore file"
      wallet={wallet}
      verb="Download"
      autoFocus={false}
      onClose={onClose}
      onUnlock={async (by) => {
        setTried(true);
        if (!isAcceptable(password)) return;
        const vault = await openVault();
        const { keystoreFileName, writeKeystore } = await import("../vault/keystore");
        const text = await vault.withUnlocked(wallet.address, by, async (opened) => {
          const key = await opened.privateKey();
          try {
            return await writeKeystore(key, password, setWriting);
          } finally {
            wipe(key);
          }
        });
        saveJson(text, keystoreFileName(wallet.address, new Date()));
        toast("ok", "Keystore file downloaded", "Try it: without its password it is worth nothing.");
        onClose();
      }}
    >
      <NewPassword
        label="Password of the file"
        value={password}
        onChange={setPassword}
        error={tried && !isAcceptable(password) ? strengthOf(password).text : null}
        autoFocus
      />
      {writing !== null && <Progress busy fraction={writing} />}
      <p className="muted">And what unlocks the wallet now:</p>
    </UnlockDialog>
  );
}
