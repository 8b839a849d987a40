/** A wallet whose phrase nobody has written down is lost with the device: this stays until somebody has. */

import type { ReactElement } from "react";

import { useSession } from "../session";
import { Button } from "../ui/button";
import { Icon } from "../ui/icon";
import { useBackup } from "../wallet/backup";

export function useNeedsBackup(): boolean {
  const { status } = useSession();
  const backup = useBackup();
  return status === "signed-in" && backup.loaded && !backup.confirmed;
}

export function BackupStrip(): ReactElement {
  const backup = useBackup();
  return (
    <aside className="backup-strip" aria-label="Backup">
      <Icon name="alert" />
      <p className="grow">
        <span className="phone-only">Your wallet is not backed up.</span>
        <span className="desktop-only">Your wallet is only in this browser. Write its words down before you deposit.</span>
      </p>
      <Button size="s" onClick={backup.confirm}>
        Back up
      </Button>
    </aside>
  );
}
