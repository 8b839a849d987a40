/**
 * A wallet as it is stored: nothing in it is secret by itself. Whatever is read back is parsed strictly, because
 * another version of the app, or another script of this origin, may have written it.
 */

import { type Address, getAddress, isAddress } from "viem";

import { type Bytes, fromHex, toHex } from "./bytes";
import type { ScryptCost, Sealed } from "./cipher";
import { WalletDamaged } from "./errors";
import type { SecretKind } from "./secret";

export const VERSION = 1;
/** Of every text that is stored. */
export const MAX_LABEL_CHARS = 200;

export interface PasswordMethod {
  readonly kind: "password";
  readonly id: string;
  readonly label: string;
  readonly createdMs: number;
  readonly salt: Bytes;
  readonly cost: ScryptCost;
  readonly wrapped: Sealed;
}

export interface PasskeyMethod {
  readonly kind: "passkey";
  readonly id: string;
  readonly label: string;
  readonly createdMs: number;
  readonly credentialId: Bytes;
  /** What the passkey's PRF is evaluated at. */
  readonly salt: Bytes;
  readonly wrapped: Sealed;
}

export type Method = PasswordMethod | PasskeyMethod;

export interface Wallet {
  readonly version: typeof VERSION;
  readonly address: Address;
  readonly name: string;
  readonly secretKind: SecretKind;
  readonly createdMs: number;
  /** The person has shown that the phrase is written down somewhere else. */
  readonly backupConfirmed: boolean;
  readonly secret: Sealed;
  readonly methods: readonly Method[];
}

/** What the secret's encryption is bound to. */
export function secretAssociated(wallet: Pick<Wallet, "version" | "secretKind" | "address">): string {
  return `exchange-vault/${wallet.version} secret ${wallet.secretKind} ${wallet.address}`;
}

/** What the wrapping of the data key by one method is bound to: its parameters too, so that none can be weakened. */
export function methodAssociated(address: Address, method: Omit<Method, "wrapped" | "label" | "createdMs">): string {
  const cost = "cost" in method ? (method.cost as ScryptCost) : null;
  const made = cost === null ? "prf" : `scrypt ${cost.n} ${cost.r} ${cost.p}`;
  return `exchange-vault/${VERSION} key ${address} ${method.kind} ${method.id} ${made}`;
}

/** What is stored as a wallet and can not be used as one. */
export interface DamagedWallet {
  /** Under which it is stored. */
  readonly key: IDBValidKey;
  /** The same as text: the wallet's address, if that is not what is damaged. */
  readonly address: string;
  /** As far as it can be read. */
  readonly name: string | null;
  readonly what: string;
  /** A newer version of the app has written it: nothing is wrong with it. */
  readonly isNewer: boolean;
}

export function damagedWallet(key: IDBValidKey, stored: unknown, what: string): DamagedWallet {
  const { name, version } = ((typeof stored === "object" ? stored : null) ?? {}) as Record<string, unknown>;
  return {
    key,
    address: String(key),
    name: typeof name === "string" && name.trim() !== "" && name.length <= MAX_LABEL_CHARS ? name : null,
    what,
    isNewer: Number.isSafeInteger(version) && (version as number) > VERSION,
  };
}

/** Throws WalletDamaged, naming what is wrong. */
export function parseWallet(stored: unknown): Wallet {
  const wallet = object(stored, "wallet");
  const version = wallet["version"];
  if (version !== VERSION) throw new WalletDamaged(`version ${String(version)} is unknown`);
  const address = text(wallet, "address");
  if (!isAddress(address) || getAddress(address) !== address) throw new WalletDamaged("address");
  const methods = wallet["methods"];
  if (!Array.isArray(methods) || methods.length === 0 || methods.length > 20) throw new WalletDamaged("methods");
  const secretKind = wallet["secretKind"];
  if (secretKind !== "phrase" && secretKind !== "key") throw new WalletDamaged("secretKind");
  const backupConfirmed = wallet["backupConfirmed"];
  if (typeof backupConfirmed !== "boolean") throw new WalletDamaged("backupConfirmed");
  return {
    version,
    address,
    name: text(wallet, "name"),
    secretKind,
    createdMs: whole(wallet, "createdMs", 0, Number.MAX_SAFE_INTEGER),
    backupConfirmed,
    secret: sealed(wallet["secret"], "secret"),
    methods: methods.map(parseMethod),
  };
}

function parseMethod(stored: unknown): Method {
  const method = object(stored, "method");
  const shared = {
    id: text(method, "id"),
    label: text(method, "label"),
    createdMs: whole(method, "createdMs", 0, Number.MAX_SAFE_INTEGER),
    salt: bytes(method, "salt", 32, 32),
    wrapped: sealed(method["wrapped"], "wrapped"),
  };
  if (method["kind"] === "password") return { kind: "password", ...shared, cost: parseCost(method["cost"]) };
  if (method["kind"] === "passkey") {
    return { kind: "passkey", ...shared, credentialId: bytes(method, "credentialId", 1, 1023) };
  }
  throw new WalletDamaged("kind of a method");
}

/** Neither so cheap that a thief guesses passwords, nor so dear that the page dies of it. */
function parseCost(stored: unknown): ScryptCost {
  const cost = object(stored, "cost");
  const n = whole(cost, "n", 2 ** 15, 2 ** 20);
  if ((n & (n - 1)) !== 0) throw new WalletDamaged("cost n");
  return { n, r: whole(cost, "r", 8, 8), p: whole(cost, "p", 1, 4) };
}

/** The form that is stored: plain text and numbers, so that it survives being copied as JSON. */
export function storedForm(wallet: Wallet): Record<string, unknown> {
  return hexed(wallet) as Record<string, unknown>;
}

function hexed(value: unknown): unknown {
  if (value instanceof Uint8Array) return { hex: toHex(value) };
  if (Array.isArray(value)) return value.map(hexed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hexed(each)]));
}

function sealed(stored: unknown, what: string): Sealed {
  const both = object(stored, what);
  return { iv: bytes(both, "iv", 12, 12), data: bytes(both, "data", 17, 512) };
}

function object(stored: unknown, what: string): Record<string, unknown> {
  if (typeof stored !== "object" || stored === null || Array.isArray(stored)) throw new WalletDamaged(what);
  return stored as Record<string, unknown>;
}

function text(from: Record<string, unknown>, name: string): string {
  const value = from[name];
  if (typeof value !== "string" || value.length > MAX_LABEL_CHARS) throw new WalletDamaged(name);
  return value;
}

function whole(from: Record<string, unknown>, name: string, least: number, most: number): number {
  const value = from[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < least || value > most) {
    throw new WalletDamaged(name);
  }
  return value;
}

function bytes(from: Record<string, unknown>, name: string, least: number, most: number): Bytes {
  const hex = object(from[name], name)["hex"];
  const value = typeof hex === "string" ? fromHex(hex) : null;
  if (value === null || value.length < least || value.length > most) throw new WalletDamaged(name);
  return value;
}
