/** What a wallet is: the entropy of a phrase, or a private key; and the account that it makes. */

import { type Address, bytesToHex } from "viem";
import { HDKey, type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

import { type Bytes, utf8, wipe } from "./bytes";
import { Locked, WalletDamaged } from "./errors";
import { phraseOf } from "./phrase";

export type SecretKind = "phrase" | "key";

export interface Secret {
  readonly kind: SecretKind;
  /** Entropy of the phrase (16 to 32 bytes), or the private key (32 bytes). */
  readonly bytes: Bytes;
}

/** The first account of BIP-44 for Ethereum, as nearly every wallet derives it. */
const PATH = "m/44'/60'/0'/0/0";
const SEED_ROUNDS = 2048;
const TAGS: Record<SecretKind, number> = { phrase: 1, key: 2 };
const ENTROPY_BYTES = [16, 20, 24, 28, 32];

/** The private key. The caller wipes it. Source: BIP-39 (seed), BIP-32, BIP-44. */
export async function privateKeyOf(secret: Secret): Promise<Bytes> {
  if (secret.kind === "key") return secret.bytes.slice();
  const words = utf8(phraseOf(secret.bytes));
  const material = await crypto.subtle.importKey("raw", words, "PBKDF2", false, ["deriveBits"]);
  wipe(words);
  const salt = utf8("mnemonic"); // no passphrase follows
  const derivation = { name: "PBKDF2", hash: "SHA-512", salt, iterations: SEED_ROUNDS };
  const seed = new Uint8Array(await crypto.subtle.deriveBits(derivation, material, 512));
  const root = HDKey.fromMasterSeed(seed);
  wipe(seed);
  const leaf = root.derive(PATH);
  root.wipePrivateData();
  const key = leaf.privateKey;
  if (key === null) throw new WalletDamaged("no key at its path");
  const copy = new Uint8Array(key);
  leaf.wipePrivateData();
  return copy;
}

export async function accountOf(secret: Secret): Promise<PrivateKeyAccount> {
  const key = await privateKeyOf(secret);
  try {
    return privateKeyToAccount(bytesToHex(key)); // a string, which nothing can wipe: it is dropped after use
  } finally {
    wipe(key);
  }
}

/** As it is encrypted: one byte that tells the kind, then the bytes. The caller wipes it. */
export function packSecret(secret: Secret): Bytes {
  const packed = new Uint8Array(1 + secret.bytes.length);
  packed[0] = TAGS[secret.kind];
  packed.set(secret.bytes, 1);
  return packed;
}

/** Throws WalletDamaged. */
export function unpackSecret(packed: Bytes): Secret {
  const bytes = packed.slice(1);
  if (packed[0] === TAGS.phrase && ENTROPY_BYTES.includes(bytes.length)) return { kind: "phrase", bytes };
  if (packed[0] === TAGS.key && bytes.length === 32) return { kind: "key", bytes };
  wipe(bytes);
  throw new WalletDamaged("no known kind of secret");
}

/** A wallet whose secret is in memory, until `wipe` is called. */
export class Opened {
  readonly address: Address;
  #secret: Secret | null;

  constructor(address: Address, secret: Secret) {
    this.address = address;
    this.#secret = secret;
  }

  /** Signs by itself; drop it at once after use. Throws Locked. */
  account(): Promise<PrivateKeyAccount> {
    return accountOf(this.#held());
  }

  /** The caller wipes it. Throws Locked. */
  privateKey(): Promise<Bytes> {
    return privateKeyOf(this.#held());
  }

  /** Null when the wallet was made of a bare key. Throws Locked. */
  phrase(): string | null {
    const secret = this.#held();
    return secret.kind === "phrase" ? phraseOf(secret.bytes) : null;
  }

  wipe(): void {
    wipe(this.#secret?.bytes);
    this.#secret = null;
  }

  #held(): Secret {
    if (this.#secret === null) throw new Locked();
    return this.#secret;
  }
}
