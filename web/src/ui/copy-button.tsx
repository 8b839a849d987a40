/** Puts a text on the clipboard, and says that it did. */

import { type ReactElement, useEffect, useState } from "react";

import { Button, IconButton } from "./button";
import { toast } from "./toast";

const SAID_MS = 1_500;

export interface CopyButtonProps {
  value: string;
  /** What is copied: "Copy address" */
  label?: string | undefined;
  /** With its label beside the icon */
  wide?: boolean | undefined;
}

export function CopyButton({ value, label = "Copy", wide = false }: CopyButtonProps): ReactElement {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SAID_MS);
    return () => clearTimeout(timer);
  }, [copied]);

  function copy(): void {
    navigator.clipboard.writeText(value).then(
      () => setCopied(true),
      () => toast("error", "Could not copy", "The browser does not allow it. Select the text and copy it yourself."),
    );
  }
  const icon = copied ? "check" : "copy";
  return (
    <>
      {wide ? (
        <Button icon={icon} onClick={copy}>
          {copied ? "Copied" : label}
        </Button>
      ) : (
        <IconButton icon={icon} label={label} size={14} onClick={copy} />
      )}
      <span role="status" className="visually-hidden">
        {copied ? "Copied" : ""}
      </span>
    </>
  );
}
