import { expect, test } from "vitest";

import { toHex } from "./bytes";
import { BadPhrase } from "./errors";
import { entropyOf, newEntropy, phraseOf, wordsOf } from "./phrase";
import { accountOf } from "./secret";

// Of the table of vectors that BIP-39 refers to, and the phrase of local development chains.
const VECTORS: [entropy: string, phrase: string][] = [
  ["00000000000000000000000000000000", `${"abandon ".repeat(11)}about`],
  ["7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f", "legal winner thank year wave sausage worth useful legal winner thank yellow"],
  ["ffffffffffffffffffffffffffffffff", `${"zoo ".repeat(11)}wrong`],
  ["0000000000000000000000000000000000000000000000000000000000000000", `${"abandon ".repeat(23)}art`],
];
const DEVELOPMENT = "test test test test test test test test test test test junk";

test.each(VECTORS)("entropy %s and its phrase", (entropy, phrase) => {
  const bytes = entropyOf(phrase);
  expect(toHex(bytes)).toBe(entropy);
  expect(phraseOf(bytes)).toBe(phrase);
});

test("the first account is the one that other wallets derive", async () => {
  const account = await accountOf({ kind: "phrase", bytes: entropyOf(DEVELOPMENT) });
  expect(account.address).toBe("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
});

test("a new phrase has twelve words and is read back", () => {
  const entropy = newEntropy();
  const phrase = phraseOf(entropy);
  expect(phrase.split(" ")).toHaveLength(12);
  expect(entropyOf(phrase)).toEqual(entropy);
});

test("pasted lists with numbers, commas and capitals are read", () => {
  expect(wordsOf(" 1. Legal\n2) winner,  3 thank ")).toEqual(["legal", "winner", "thank"]);
});

test("an unknown word is named by its place", () => {
  const error = caught(() => entropyOf(DEVELOPMENT.replace("junk", "jumk")));
  expect(error).toMatchObject({ fault: "word", position: 12 });
});

test("one word too few is a matter of length, a changed word one of the checksum", () => {
  expect(caught(() => entropyOf(DEVELOPMENT.replace(" junk", "")))).toMatchObject({ fault: "length" });
  expect(caught(() => entropyOf(DEVELOPMENT.replace("junk", "test")))).toMatchObject({ fault: "checksum" });
  expect(caught(() => entropyOf(""))).toMatchObject({ fault: "length" });
});

function caught(work: () => unknown): BadPhrase {
  try {
    work();
  } catch (error) {
    if (error instanceof BadPhrase) return error;
  }
  throw new Error("nothing was refused");
}
