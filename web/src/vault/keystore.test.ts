import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { fromHex, toHex } from "./bytes";
import { BadKeystore, WrongKeystorePassword } from "./errors";
import { keystoreFileName, parseKeystore, readKeystore, writeKeystore } from "./keystore";

// Made by fixtures/make_keystores.py.
const KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const PASSWORD = "correct horse battery staple";
const CHEAP = { n: 2 ** 12, r: 8, p: 1 };
const PYTHON = fileURLToPath(new URL("../../../.venv/bin/python", import.meta.url));

function fixture(kdf: string): string {
  return readFileSync(new URL(`./fixtures/eth_account_${kdf}.json`, import.meta.url), "utf8");
}

function changed(change: (file: Record<string, unknown> & { crypto: Record<string, unknown> }) => void): string {
  const file = JSON.parse(fixture("scrypt")) as Parameters<typeof change>[0];
  change(file);
  return JSON.stringify(file);
}

test.each(["scrypt", "pbkdf2"])("a keystore that eth_account wrote with %s is read", async (kdf) => {
  expect(toHex(await readKeystore(fixture(kdf), PASSWORD))).toBe(KEY);
});

test("eth_account decrypts what is written here", async () => {
  const text = await writeKeystore(keyBytes(), "pässwörd ∆ of the file");
  expect(decryptedByEthAccount(text, "pässwörd ∆ of the file")).toBe(KEY);
}, 60_000);

test("what is written is read back, and two files of one key have nothing in common", async () => {
  const one = await writeKeystore(keyBytes(), PASSWORD, undefined, CHEAP);
  const other = await writeKeystore(keyBytes(), PASSWORD, undefined, CHEAP);
  expect(toHex(await readKeystore(one, PASSWORD))).toBe(KEY);
  expect(parseKeystore(one).ciphertext).not.toEqual(parseKeystore(other).ciphertext);
});

test("another password is refused", async () => {
  await expect(readKeystore(fixture("scrypt"), "Correct horse battery staple")).rejects.toThrow(WrongKeystorePassword);
});

test("an altered ciphertext is refused like a wrong password", async () => {
  const text = changed((file) => (file.crypto["ciphertext"] = "00".repeat(32)));
  await expect(readKeystore(text, PASSWORD)).rejects.toThrow(WrongKeystorePassword);
});

test("a file that claims another address is refused", async () => {
  const text = changed((file) => (file["address"] = "00".repeat(20)));
  await expect(readKeystore(text, PASSWORD)).rejects.toThrow(BadKeystore);
});

test.each<[string, string]>([
  ["no JSON", "hello"],
  ["a list", "[]"],
  ["another version", changed((file) => (file["version"] = 1))],
  ["another cipher", changed((file) => (file.crypto["cipher"] = "aes-128-cbc"))],
  ["an unknown derivation", changed((file) => (file.crypto["kdf"] = "argon2"))],
  ["no derivation", changed((file) => delete file.crypto["kdfparams"])],
  ["n that is no power of two", costing({ n: 4097 })],
  ["n that takes all memory", costing({ n: 2 ** 24 })],
  ["p that takes hours", costing({ p: 2 ** 20 })],
  ["r that stops the page", costing({ n: 2, r: 2 ** 22 })],
  ["p that stops the page", costing({ n: 2, r: 1, p: 2 ** 23 })],
  ["r that is no number", costing({ r: "8" })],
  ["a short key", costing({ dklen: 16 })],
  ["a short IV", changed((file) => (file.crypto["cipherparams"] = { iv: "00" }))],
  ["a long text", " ".repeat(30_000)],
])("%s is refused before a password is tried", (_, text) => {
  expect(() => parseKeystore(text)).toThrow(BadKeystore);
});

test("the file's name says when and whose", () => {
  const name = keystoreFileName("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", new Date(Date.UTC(2026, 0, 2, 3, 4, 5)));
  expect(name).toBe("UTC--2026-01-02T03-04-05.000Z--f39fd6e51aad88f6f4ce6ab8827279cfffb92266.json");
});

function costing(parameters: Record<string, unknown>): string {
  return changed((file) => Object.assign(file.crypto["kdfparams"] as object, parameters));
}

function keyBytes(): Uint8Array<ArrayBuffer> {
  const key = fromHex(KEY);
  if (key === null) throw new Error("no key");
  return key;
}

function decryptedByEthAccount(keystore: string, password: string): string {
  const program = "import json, sys; from eth_account import Account; k, p = json.load(sys.stdin); print(Account.decrypt(k, p).hex())";
  const input = JSON.stringify([keystore, password]);
  return execFileSync(PYTHON, ["-c", program], { input, encoding: "utf8", timeout: 50_000 }).trim().replace(/^0x/, "");
}
