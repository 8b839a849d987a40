/**
 * Keystore files, version 3 (Web3 Secret Storage): a private key, encrypted by AES-128-CTR with the first half of
 * what scrypt (or PBKDF2) makes of a password, and a Keccak-256 over the second half and the ciphertext.
 * Written with scrypt as geth does (N=2^18, r=8, p=1). Read with any cost up to limits that a page survives.
 */

import { keccak_256 } from "@noble/hashes/sha3";
import { type Address, bytesToHex, getAddress } from "viem";
import { privateKeyToAddress } from "viem/accounts";

import { type Bytes, fromHex, randomBytes, sameBytes, toHex, utf8, wipe } from "./bytes";
import { type OnProgress, type ScryptCost, scryptBytes } from "./cipher";
import { BadKeystore, WrongKeystorePassword } from "./errors";

const EXPORT_COST: ScryptCost = { n: 2 ** 18, r: 8, p: 1 };
/** More than any keystore has, whose text is a few hundred. */
export const MAX_TEXT_CHARS = 20_000;
const MAX_MEMORY_BYTES = 1024 ** 3;
const MAX_WORK = 2 ** 24; // n * r * p: eight times what geth asks for
const MAX_LANES = 1024; // r * p: this much is derived in one piece, without a pause
const MAX_ROUNDS = 10_000_000;

type Json = Record<string, unknown>;

interface Keystore {
  ciphertext: Bytes;
  iv: Bytes;
  mac: Bytes;
  /** 32 bytes. */
  derive(password: string, onProgress?: OnProgress): Promise<Bytes>;
  /** What the file says it is; checked against the key. */
  address: Address | null;
}

/** The file's text. `key` is 32 bytes; the caller wipes it. */
export async function writeKeystore(
  key: Bytes,
  password: string,
  onProgress?: OnProgress,
  cost: ScryptCost = EXPORT_COST,
): Promise<string> {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derived = await scryptBytes(utf8(password), salt, cost, onProgress);
  const ciphertext = await counterMode(derived.slice(0, 16), iv, key);
  const mac = macOf(derived, ciphertext);
  wipe(derived);
  const content = {
    version: 3,
    id: crypto.randomUUID(),
    address: privateKeyToAddress(bytesToHex(key)).slice(2).toLowerCase(),
    crypto: {
      cipher: "aes-128-ctr",
      cipherparams: { iv: toHex(iv) },
      ciphertext: toHex(ciphertext),
      kdf: "scrypt",
      kdfparams: { dklen: 32, n: cost.n, r: cost.r, p: cost.p, salt: toHex(salt) },
      mac: toHex(mac),
    },
  };
  return JSON.stringify(content, null, 2);
}

/** The name that wallets give such a file. */
export function keystoreFileName(address: Address, now: Date): string {
  return `UTC--${now.toISOString().replaceAll(":", "-")}--${address.slice(2).toLowerCase()}.json`;
}

/** The private key (32 bytes). Throws BadKeystore, WrongKeystorePassword. */
export async function readKeystore(text: string, password: string, onProgress?: OnProgress): Promise<Bytes> {
  const keystore = parseKeystore(text);
  const derived = await keystore.derive(password, onProgress);
  try {
    if (!sameBytes(macOf(derived, keystore.ciphertext), keystore.mac)) throw new WrongKeystorePassword();
    const key = await counterMode(derived.slice(0, 16), keystore.iv, keystore.ciphertext);
    try {
      requireKey(key, keystore.address);
    } catch (error) {
      wipe(key);
      throw error;
    }
    return key;
  } finally {
    wipe(derived);
  }
}

function requireKey(key: Bytes, claimed: Address | null): void {
  let address: Address;
  try {
    address = privateKeyToAddress(bytesToHex(key));
  } catch (error) {
    throw new BadKeystore("The file holds no valid key", { cause: error });
  }
  if (claimed !== null && claimed !== address) throw new BadKeystore("The file's key belongs to another address");
}

/** Throws BadKeystore, before a password is asked for. */
export function parseKeystore(text: string): Keystore {
  if (text.length > MAX_TEXT_CHARS) throw new BadKeystore("This file is too long for a keystore");
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new BadKeystore("This is no keystore file: it is not JSON", { cause: error });
  }
  const file = object(content, "the file");
  if (file["version"] !== 3) throw new BadKeystore("Only keystore files of version 3 can be read");
  const crypto = object(file["crypto"] ?? file["Crypto"], "crypto");
  if (crypto["cipher"] !== "aes-128-ctr") throw new BadKeystore("The file's cipher is not aes-128-ctr");
  return {
    ciphertext: hex(crypto, "ciphertext", 32),
    iv: hex(object(crypto["cipherparams"], "cipherparams"), "iv", 16),
    mac: hex(crypto, "mac", 32),
    derive: derivationOf(crypto["kdf"], object(crypto["kdfparams"], "kdfparams")),
    address: addressOf(file["address"]),
  };
}

function derivationOf(kdf: unknown, parameters: Json): Keystore["derive"] {
  const salt = hex(parameters, "salt", null);
  if (parameters["dklen"] !== 32) throw new BadKeystore("The file's dklen is not 32");
  if (kdf === "scrypt") {
    const cost = { n: whole(parameters, "n"), r: whole(parameters, "r"), p: whole(parameters, "p") };
    requireBearable(cost);
    return (password, onProgress) => scryptBytes(utf8(password), salt, cost, onProgress);
  }
  if (kdf === "pbkdf2" && parameters["prf"] === "hmac-sha256") {
    const iterations = whole(parameters, "c");
    if (iterations > MAX_ROUNDS) throw new BadKeystore("The file asks for too much work");
    return (password) => pbkdf2Bytes(utf8(password), salt, iterations);
  }
  throw new BadKeystore("The file's key derivation is unknown");
}

function requireBearable({ n, r, p }: ScryptCost): void {
  if (n < 2 || (n & (n - 1)) !== 0 || n > 2 ** 24) throw new BadKeystore("The file's scrypt parameters are invalid");
  if (128 * r * (n + p) > MAX_MEMORY_BYTES || n * r * p > MAX_WORK || r * p > MAX_LANES) {
    throw new BadKeystore("The file asks for too much work");
  }
}

async function pbkdf2Bytes(password: Bytes, salt: Bytes, iterations: number): Promise<Bytes> {
  const material = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  wipe(password);
  const derivation = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(derivation, material, 256));
}

/** Encrypts and decrypts alike. Wipes `raw`. */
async function counterMode(raw: Bytes, counter: Bytes, content: Bytes): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", raw, "AES-CTR", false, ["encrypt"]);
  wipe(raw);
  return new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CTR", counter, length: 128 }, key, content));
}

function macOf(derived: Bytes, ciphertext: Bytes): Uint8Array {
  const covered = new Uint8Array([...derived.subarray(16, 32), ...ciphertext]);
  const mac = keccak_256(covered);
  wipe(covered);
  return mac;
}

function addressOf(value: unknown): Address | null {
  if (value === undefined || value === "") return null;
  if (typeof value !== "string" || !/^(?:0x)?[0-9a-fA-F]{40}$/.test(value)) {
    throw new BadKeystore("The file's address is not one");
  }
  return getAddress(`0x${value.slice(-40).toLowerCase()}`);
}

function object(value: unknown, what: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BadKeystore(`This is no keystore file: ${what} is missing`);
  }
  return value as Json;
}

function hex(from: Json, name: string, count: number | null): Bytes {
  const value = from[name];
  const bytes = typeof value === "string" ? fromHex(value.replace(/^0x/, "").toLowerCase()) : null;
  if (bytes === null || bytes.length === 0 || bytes.length > 1024 || (count !== null && bytes.length !== count)) {
    throw new BadKeystore(`The file's ${name} is not what it should be`);
  }
  return bytes;
}

function whole(from: Json, name: string): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw new BadKeystore(`The file's ${name} is not a number that makes sense`);
  }
  return value;
}
