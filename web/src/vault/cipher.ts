/**
 * The cryptography of the vault, all of it WebCrypto's but scrypt:
 *
 *     secret    --AES-256-GCM, random data key, AAD names version, kind and address-->  stored
 *     data key  --AES-256-GCM, key of one unlock method, AAD names the method-------->  stored, once for each method
 *     password  --scrypt N=2^17 r=8 p=1 (128 MiB, about a second)-->  key of the method
 *     passkey   --WebAuthn PRF over a random salt--> 32 bytes --HKDF-SHA-256-->  key of the method
 *
 * Keys that WebCrypto holds cannot be read out again; raw ones are wiped after use.
 */

import { scryptAsync } from "@noble/hashes/scrypt";

import { type Bytes, randomBytes, utf8, wipe } from "./bytes";

export interface Sealed {
  readonly iv: Bytes;
  readonly data: Bytes;
}

export interface ScryptCost {
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

export const PASSWORD_COST: ScryptCost = { n: 2 ** 17, r: 8, p: 1 };
export type OnProgress = (fraction: number) => void;

const IV_BYTES = 12;
/** How long the page may stand still at a time while scrypt works, so that it still answers. */
const TICK_MS = 12;

/** `associated` is not stored with it: who opens it must know what it is. */
export async function seal(key: CryptoKey, content: Bytes, associated: string): Promise<Sealed> {
  const iv = randomBytes(IV_BYTES);
  const parameters = { name: "AES-GCM", iv, additionalData: utf8(associated) };
  return { iv, data: new Uint8Array(await crypto.subtle.encrypt(parameters, key, content)) };
}

/** Null when key, content or `associated` are others than when it was sealed. */
export async function unseal(key: CryptoKey, sealed: Sealed, associated: string): Promise<Bytes | null> {
  const parameters = { name: "AES-GCM", iv: sealed.iv, additionalData: utf8(associated) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters, key, sealed.data));
  } catch (error) {
    if (error instanceof DOMException && error.name === "OperationError") return null;
    throw error;
  }
}

export function aesKey(raw: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** The key that a password makes. Passwords are compared as people see them: Unicode NFKC. */
export async function passwordKey(
  password: string,
  salt: Bytes,
  cost: ScryptCost,
  onProgress?: OnProgress,
): Promise<CryptoKey> {
  const raw = await scryptBytes(utf8(password.normalize("NFKC")), salt, cost, onProgress);
  try {
    return await aesKey(raw);
  } finally {
    wipe(raw);
  }
}

/** 32 bytes. Wipes `password`. */
export async function scryptBytes(
  password: Bytes,
  salt: Bytes,
  cost: ScryptCost,
  onProgress?: OnProgress,
): Promise<Bytes> {
  try {
    const options = { N: cost.n, r: cost.r, p: cost.p, dkLen: 32, asyncTick: TICK_MS };
    return (await scryptAsync(password, salt, onProgress ? { ...options, onProgress } : options)) as Bytes;
  } finally {
    wipe(password);
  }
}

/** The key made of what a passkey's PRF answered. Wipes `output`. */
export async function passkeyKey(output: Bytes, address: string): Promise<CryptoKey> {
  try {
    const material = await crypto.subtle.importKey("raw", output, "HKDF", false, ["deriveKey"]);
    const info = utf8(`exchange-vault/1 passkey ${address}`);
    const derivation = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(32), info };
    const use: KeyUsage[] = ["encrypt", "decrypt"];
    return await crypto.subtle.deriveKey(derivation, material, { name: "AES-GCM", length: 256 }, false, use);
  } finally {
    wipe(output);
  }
}
