/** Which keys do what: in a dialog behind "?", and on the settings page. */

import type { ReactElement } from "react";

import { Dialog } from "../ui/dialog";
import { type Command, useCommands } from "./commands";
import { keyCaps } from "./shortcuts";

export function Keys({ keys }: { keys: string }): ReactElement {
  return (
    <span className="keys">
      {keyCaps(keys).map((cap, index) => (
        <kbd key={index}>{cap}</kbd>
      ))}
    </span>
  );
}

export function ShortcutList(): ReactElement {
  const groups = new Map<string, Command[]>();
  for (const command of useCommands()) {
    if (command.keys === undefined) continue;
    const group = command.group ?? "Other";
    groups.set(group, [...(groups.get(group) ?? []), command]);
  }
  return (
    <div className="shortcut-groups">
      {[...groups].map(([group, commands]) => (
        <section key={group} className="stack tight">
          <h3 className="muted small">{group}</h3>
          <dl className="facts shortcut-list">
            {commands.map((command) => (
              <div key={command.id}>
                <dt>{command.title}</dt>
                <dd>
                  <Keys keys={command.keys ?? ""} />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
    </div>
  );
}

export function ShortcutDialog({ open, onClose }: { open: boolean; onClose(): void }): ReactElement {
  return (
    <Dialog title="Keyboard shortcuts" open={open} onClose={onClose} wide>
      <div className="stack loose">
        <ShortcutList />
        <p className="muted small">
          They rest while you type. Some are there only on the page that they belong to. Single keys can be turned off
          in the settings.
        </p>
      </div>
    </Dialog>
  );
}
