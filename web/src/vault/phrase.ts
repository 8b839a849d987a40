/**
 * Recovery phrases of BIP-39 in English: 11 bits a word, the last of them a checksum (the first bit of SHA-256 for
 * every 32 bits of entropy). Written here because it needs a reason for each refusal, and the entropy as bytes.
 */

import { sha256 } from "@noble/hashes/sha2";
import { english } from "viem/accounts";

import { type Bytes, randomBytes } from "./bytes";
import { BadPhrase } from "./errors";

const WORD_BITS = 11;
const LENGTHS = [12, 15, 18, 21, 24];
const positions = new Map(english.map((word, position) => [word, position]));

/** Of a new phrase with 12 words. */
export function newEntropy(): Bytes {
  return randomBytes(16);
}

/** The words that stand for 16, 20, 24, 28 or 32 bytes. */
export function phraseOf(entropy: Uint8Array): string {
  const checksumBits = entropy.length / 4;
  const all = new Uint8Array([...entropy, sha256(entropy)[0] as number]);
  const count = (entropy.length * 8 + checksumBits) / WORD_BITS;
  const words: string[] = [];
  for (let i = 0; i < count; i++) words.push(english[bitsAt(all, i * WORD_BITS)] as string);
  all.fill(0);
  return words.join(" ");
}

/** Words of a pasted text: any white space, line numbers ("3." or "3)") and commas between them are let go. */
export function wordsOf(text: string): string[] {
  return text
    .normalize("NFKD")
    .toLowerCase()
    .split(/[\s,;]+/)
    .map((word) => word.replace(/^\d+[.):]?/, ""))
    .filter((word) => word !== "");
}

/** The bytes that a phrase stands for. Throws BadPhrase. */
export function entropyOf(text: string): Bytes {
  const words = wordsOf(text);
  words.forEach((word, i) => {
    if (!positions.has(word)) {
      throw new BadPhrase("word", `Word ${i + 1}, “${word}”, is not in the list of words`, i + 1);
    }
  });
  if (!LENGTHS.includes(words.length)) {
    const found = words.length === 1 ? "1 word" : `${words.length} words`;
    throw new BadPhrase("length", `A phrase has 12 words (or 15, 18, 21, 24); this has ${found}`);
  }
  const checksumBits = words.length / 3;
  const entropy = new Uint8Array((words.length * WORD_BITS - checksumBits) / 8);
  const all = new Uint8Array(entropy.length + 1);
  words.forEach((word, i) => setBits(all, i * WORD_BITS, positions.get(word) as number));
  entropy.set(all.subarray(0, entropy.length));
  const given = (all[entropy.length] as number) >> (8 - checksumBits);
  all.fill(0);
  if (given !== (sha256(entropy)[0] as number) >> (8 - checksumBits)) {
    entropy.fill(0);
    throw new BadPhrase("checksum", "These words do not belong together: one is another, or the order is");
  }
  return entropy;
}

/** The number in 11 bits from bit `at`. */
function bitsAt(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let bit = at; bit < at + WORD_BITS; bit++) {
    value = (value << 1) | (((bytes[bit >> 3] as number) >> (7 - (bit & 7))) & 1);
  }
  return value;
}

function setBits(bytes: Uint8Array, at: number, value: number): void {
  for (let i = 0; i < WORD_BITS; i++) {
    if ((value >> (WORD_BITS - 1 - i)) & 1) {
      const bit = at + i;
      bytes[bit >> 3] = (bytes[bit >> 3] as number) | (1 << (7 - (bit & 7)));
    }
  }
}
