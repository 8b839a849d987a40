/** The words of a phrase, numbered: the one moment in which they are shown. */

import "./wallet.css";

import type { ReactElement } from "react";

export function PhraseWords({ phrase }: { phrase: string }): ReactElement {
  return (
    <ol className="phrase" aria-label="Recovery phrase" translate="no">
      {phrase.split(" ").map((word, i) => (
        <li key={i}>
          <span className="faint num" aria-hidden="true">
            {i + 1}
          </span>
          <span className="mono">{word}</span>
        </li>
      ))}
    </ol>
  );
}
