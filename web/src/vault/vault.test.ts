import "fake-indexeddb/auto";

import { IDBFactory } from "fake-indexeddb";
import { recoverMessageAddress } from "viem";
import { beforeEach, expect, test } from "vitest";

import { type Bytes, toHex } from "./bytes";
import {
  LastMethod,
  Locked,
  PasskeyRefused,
  PasskeyWithoutPrf,
  WalletDamaged,
  WalletMissing,
  WalletReplaced,
  WrongPasskey,
  WrongPassword,
} from "./errors";
import type { PasskeyAnswer, Passkeys, PasskeySalt } from "./passkey";
import { entropyOf } from "./phrase";
import { parseWallet, storedForm, type Wallet } from "./record";
import type { Secret } from "./secret";
import { openStore, type WalletStore } from "./store";
import { Vault } from "./vault";

const PHRASE = "test test test test test test test test test test test junk";
const ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const PASSWORD = "a password of some length";
const CHEAP = { n: 2 ** 15, r: 8, p: 1 };
const BY_PASSWORD = { kind: "password", password: PASSWORD } as const;
const BY_PASSKEY = { kind: "passkey" } as const;

/** Passkeys whose PRF is SHA-256 over their id and the salt. */
class FakePasskeys implements Passkeys {
  refuse: Error | null = null;
  /** What answers; the last one made unless set. */
  current: Bytes = new Uint8Array(0);
  #made = 0;

  create(_: string, salt: Bytes): Promise<PasskeyAnswer> {
    if (this.refuse !== null) return Promise.reject(this.refuse);
    this.current = new Uint8Array([7, ++this.#made]);
    return this.#answer(this.current, salt);
  }

  evaluate(known: readonly PasskeySalt[]): Promise<PasskeyAnswer> {
    if (this.refuse !== null) return Promise.reject(this.refuse);
    const asked = known.find((each) => toHex(each.credentialId) === toHex(this.current));
    return this.#answer(this.current, asked?.salt ?? new Uint8Array(32));
  }

  async #answer(credentialId: Bytes, salt: Bytes): Promise<PasskeyAnswer> {
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array([...credentialId, ...salt]));
    return { credentialId: credentialId.slice(), output: new Uint8Array(digest) };
  }
}

let factory: IDBFactory;
let store: WalletStore;
let passkeys: FakePasskeys;
let vault: Vault;

beforeEach(() => {
  factory = new IDBFactory();
  store = openStore(factory);
  passkeys = new FakePasskeys();
  vault = new Vault(store, passkeys, CHEAP, () => 1_700_000_000_000);
});

const secret = (): Secret => ({ kind: "phrase", bytes: entropyOf(PHRASE) });
const ABOUT = { name: "Main", backupConfirmed: false };

async function addWithPassword(): Promise<void> {
  (await vault.add(secret(), ABOUT, BY_PASSWORD)).wipe();
}

/** Stores it as somebody with the browser's data could alter it. */
async function alter(change: (wallet: Wallet) => Wallet): Promise<void> {
  await store.put(change(await store.get(ADDRESS)));
}

function flipped(bytes: Bytes): Bytes {
  const copy = bytes.slice();
  copy[0] = (copy[0] as number) ^ 1;
  return copy;
}

test("a wallet made with a password signs after it is unlocked with it", async () => {
  await addWithPassword();
  const signature = await vault.withUnlocked(ADDRESS, BY_PASSWORD, async (opened) =>
    (await opened.account()).signMessage({ message: "hello" }),
  );
  expect(await recoverMessageAddress({ message: "hello", signature })).toBe(ADDRESS);
});

test("nothing stored is the secret, and the right phrase comes out", async () => {
  await addWithPassword();
  const stored = JSON.stringify(storedForm(await store.get(ADDRESS)));
  expect(stored).not.toContain(toHex(entropyOf(PHRASE)));
  expect(stored).not.toContain("junk");
  expect(await vault.withUnlocked(ADDRESS, BY_PASSWORD, async (opened) => opened.phrase())).toBe(PHRASE);
});

test("after use the key is gone, also when the work failed", async () => {
  await addWithPassword();
  const opened = await vault.unlock(ADDRESS, BY_PASSWORD);
  opened.wipe();
  expect(() => opened.phrase()).toThrow(Locked);
  let kept: typeof opened | null = null;
  const failing = vault.withUnlocked(ADDRESS, BY_PASSWORD, async (inner) => {
    kept = inner;
    throw new RangeError("no");
  });
  await expect(failing).rejects.toThrow(RangeError);
  expect(() => kept?.phrase()).toThrow(Locked);
});

test("another password does not unlock", async () => {
  await addWithPassword();
  await expect(vault.unlock(ADDRESS, { kind: "password", password: `${PASSWORD} ` })).rejects.toThrow(WrongPassword);
});

test("a password typed with composed or decomposed accents is the same", async () => {
  (await vault.add(secret(), ABOUT, { kind: "password", password: "cr\u00e8me br\u00fbl\u00e9e" })).wipe();
  (await vault.unlock(ADDRESS, { kind: "password", password: "cre\u0300me bru\u0302le\u0301e" })).wipe();
});

test("a wallet made with a passkey is unlocked by it and by no password", async () => {
  (await vault.add(secret(), ABOUT, { kind: "passkey", label: "Passkey" })).wipe();
  const opened = await vault.unlock(ADDRESS, BY_PASSKEY);
  expect(opened.phrase()).toBe(PHRASE);
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WrongPassword);
});

test("a passkey that cannot make keys stores nothing", async () => {
  passkeys.refuse = new PasskeyWithoutPrf();
  await expect(vault.add(secret(), ABOUT, { kind: "passkey", label: "Passkey" })).rejects.toThrow(PasskeyWithoutPrf);
  expect(await store.list()).toEqual([]);
});

test("a refused passkey prompt is told from a wrong passkey", async () => {
  (await vault.add(secret(), ABOUT, { kind: "passkey", label: "Passkey" })).wipe();
  passkeys.current = new Uint8Array([9, 9]);
  await expect(vault.unlock(ADDRESS, BY_PASSKEY)).rejects.toThrow(WrongPasskey);
  passkeys.refuse = new PasskeyRefused();
  await expect(vault.unlock(ADDRESS, BY_PASSKEY)).rejects.toThrow(PasskeyRefused);
});

test("each of several methods unlocks, until it is removed; the last one stays", async () => {
  await addWithPassword();
  await vault.addMethod(ADDRESS, BY_PASSWORD, { kind: "passkey", label: "Phone" });
  const phone = passkeys.current;
  await vault.addMethod(ADDRESS, BY_PASSKEY, { kind: "passkey", label: "Laptop" });
  passkeys.current = phone;
  (await vault.unlock(ADDRESS, BY_PASSKEY)).wipe();
  (await vault.unlock(ADDRESS, BY_PASSWORD)).wipe();

  const [password, first, second] = (await store.get(ADDRESS)).methods;
  await vault.removeMethod(ADDRESS, BY_PASSKEY, first?.id ?? "");
  await expect(vault.unlock(ADDRESS, BY_PASSKEY)).rejects.toThrow(WrongPasskey);
  await vault.removeMethod(ADDRESS, BY_PASSWORD, second?.id ?? "");
  await expect(vault.removeMethod(ADDRESS, BY_PASSWORD, password?.id ?? "")).rejects.toThrow(LastMethod);
  (await vault.unlock(ADDRESS, BY_PASSWORD)).wipe();
});

test("a method made for a wallet that is imported again meanwhile is not put on the new one", async () => {
  await addWithPassword();
  const again = { kind: "password", password: "of the other tab 42" } as const;
  const create = passkeys.create.bind(passkeys);
  passkeys.create = async (name, salt) => {
    (await vault.add(secret(), ABOUT, again)).wipe();
    return create(name, salt);
  };
  await expect(vault.addMethod(ADDRESS, BY_PASSWORD, { kind: "passkey", label: "x" })).rejects.toThrow(WalletReplaced);
  expect((await store.get(ADDRESS)).methods).toHaveLength(1);
  (await vault.unlock(ADDRESS, again)).wipe();
});

test("a password changed while the wallet is imported again does not take the place of the new one", async () => {
  await addWithPassword();
  const again = { kind: "password", password: "of the other tab 42" } as const;
  const change = store.change.bind(store);
  store.change = async (...how) => {
    (await vault.add(secret(), ABOUT, again)).wipe();
    return change(...how);
  };
  const other = { kind: "password", password: "of this tab 4242" } as const;
  await expect(vault.addMethod(ADDRESS, BY_PASSWORD, other)).rejects.toThrow(WalletReplaced);
  (await vault.unlock(ADDRESS, again)).wipe();
});

test("a method is neither added nor removed without an unlock", async () => {
  await addWithPassword();
  const wrong = { kind: "password", password: "not the password" } as const;
  await expect(vault.addMethod(ADDRESS, wrong, { kind: "passkey", label: "x" })).rejects.toThrow(WrongPassword);
  await vault.addMethod(ADDRESS, BY_PASSWORD, { kind: "passkey", label: "x" });
  const id = (await store.get(ADDRESS)).methods[1]?.id ?? "";
  await expect(vault.removeMethod(ADDRESS, wrong, id)).rejects.toThrow(WrongPassword);
  expect((await store.get(ADDRESS)).methods).toHaveLength(2);
});

test("a passkey is renamed and still unlocks; nothing else of the wallet changes", async () => {
  await addWithPassword();
  await vault.addMethod(ADDRESS, BY_PASSWORD, { kind: "passkey", label: "Chrome on Linux" });
  const before = await store.get(ADDRESS);
  const [password, passkey] = before.methods;
  await vault.renamePasskey(ADDRESS, passkey?.id ?? "", "The blue one");
  await vault.renamePasskey(ADDRESS, password?.id ?? "", "Not the password");
  const after = await store.get(ADDRESS);
  expect(after).toEqual({ ...before, methods: [password, { ...passkey, label: "The blue one" }] });
  (await vault.unlock(ADDRESS, BY_PASSKEY)).wipe();
  await expect(vault.renamePasskey(ADDRESS, passkey?.id ?? "", " ")).rejects.toThrow(RangeError);
  await expect(vault.renamePasskey(ADDRESS, passkey?.id ?? "", "x".repeat(201))).rejects.toThrow(RangeError);
});

test("another password takes the place of the first one", async () => {
  await addWithPassword();
  await vault.addMethod(ADDRESS, BY_PASSWORD, { kind: "password", password: "a new and longer password" });
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WrongPassword);
  (await vault.unlock(ADDRESS, { kind: "password", password: "a new and longer password" })).wipe();
  expect((await store.get(ADDRESS)).methods).toHaveLength(1);
});

test("an altered secret, or one of another kind, is refused", async () => {
  await addWithPassword();
  await alter((wallet) => ({ ...wallet, secret: { ...wallet.secret, data: flipped(wallet.secret.data) } }));
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WalletDamaged);
  await addWithPassword();
  await alter((wallet) => ({ ...wallet, secretKind: "key" }));
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WalletDamaged);
});

test("an altered wrapped key, or one put under another method, does not open", async () => {
  await addWithPassword();
  await alter((wallet) => withMethod(wallet, (method) => ({ ...method, wrapped: { ...method.wrapped, iv: flipped(method.wrapped.iv) } })));
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WrongPassword);
  await addWithPassword();
  await alter((wallet) => withMethod(wallet, (method) => ({ ...method, id: "0011223344556677" })));
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WrongPassword);
});

test("a secret put under another wallet's address does not open", async () => {
  await addWithPassword();
  const other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
  const wallet = await store.get(ADDRESS);
  await store.put({ ...wallet, address: other });
  await expect(vault.unlock(other, BY_PASSWORD)).rejects.toThrow(WrongPassword);
});

test("importing a wallet again replaces what unlocks it", async () => {
  await addWithPassword();
  (await vault.add(secret(), { name: "Again", backupConfirmed: true }, { kind: "password", password: "forgotten before" })).wipe();
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WrongPassword);
  expect(await store.list()).toMatchObject([{ name: "Again", backupConfirmed: true }]);
});

test("the caller's secret is its own: it can be tried again, and is not what the wallet holds", async () => {
  const mine = secret();
  const opened = await vault.add(mine, ABOUT, BY_PASSWORD);
  mine.bytes.fill(0);
  expect(opened.phrase()).toBe(PHRASE);
});

test("the wallet used last comes first; a removed one is missing", async () => {
  await addWithPassword();
  const key = { kind: "key", bytes: new Uint8Array(32).fill(1) } as const;
  const other = await vault.add(key, { name: "Key", backupConfirmed: true }, BY_PASSWORD);
  expect(other.phrase()).toBeNull();
  expect((await store.list()).map((wallet) => wallet.name)).toEqual(["Key", "Main"]);
  await store.setActive(ADDRESS);
  expect((await store.list()).map((wallet) => wallet.name)).toEqual(["Main", "Key"]);
  await store.remove(ADDRESS);
  await expect(vault.unlock(ADDRESS, BY_PASSWORD)).rejects.toThrow(WalletMissing);
});

test("a confirmed backup stays confirmed, and whoever listens hears of it", async () => {
  await addWithPassword();
  let heard = 0;
  store.onChange(() => heard++);
  await vault.confirmBackup(ADDRESS);
  expect((await store.get(ADDRESS)).backupConfirmed).toBe(true);
  expect(heard).toBe(1);
});

test("what is read back is parsed strictly", async () => {
  await addWithPassword();
  const stored = storedForm(await store.get(ADDRESS));
  expect(storedForm(parseWallet(JSON.parse(JSON.stringify(stored))))).toEqual(stored);
  const method = (stored["methods"] as Record<string, unknown>[])[0];
  const bad: unknown[] = [
    null,
    [],
    { ...stored, version: 2 },
    { ...stored, address: ADDRESS.toLowerCase() },
    { ...stored, methods: [] },
    { ...stored, methods: [{ ...method, kind: "face" }] },
    { ...stored, methods: [{ ...method, cost: { n: 2, r: 8, p: 1 } }] },
    { ...stored, methods: [{ ...method, cost: { n: 2 ** 30, r: 8, p: 1 } }] },
    { ...stored, methods: [{ ...method, salt: { hex: "zz" } }] },
    { ...stored, secret: { iv: { hex: "00" }, data: { hex: "00" } } },
    { ...stored, backupConfirmed: "yes" },
  ];
  for (const each of bad) expect(() => parseWallet(each)).toThrow(WalletDamaged);
});

function withMethod(wallet: Wallet, change: (method: Wallet["methods"][number]) => Wallet["methods"][number]): Wallet {
  return { ...wallet, methods: wallet.methods.map(change) };
}

test("a record that can not be read is told of, is no wallet, and is there until it is removed or brought in anew", async () => {
  await addWithPassword();
  const good = storedForm(await store.get(ADDRESS));
  await overwrite({ ...good, methods: [] });
  expect(await store.list()).toEqual([]);
  expect(await store.damaged()).toMatchObject([{ address: ADDRESS, name: "Main", what: "methods", isNewer: false }]);
  expect(await store.stored(ADDRESS)).toMatchObject({ methods: [] });
  await overwrite({ ...good, version: 2, name: 7 });
  expect(await store.damaged()).toMatchObject([{ address: ADDRESS, name: null, isNewer: true }]);
  await addWithPassword();
  expect(await store.damaged()).toEqual([]);
  await overwrite({ address: ADDRESS });
  await store.remove((await store.damaged())[0]?.key ?? "");
  expect(await store.damaged()).toEqual([]);
});

/** As another script, or another version of the app, may do it. */
function overwrite(record: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const opening = factory.open("exchange-vault");
    opening.onsuccess = () => {
      const transaction = opening.result.transaction("wallets", "readwrite");
      transaction.objectStore("wallets").put(record);
      transaction.oncomplete = () => {
        opening.result.close();
        resolve();
      };
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
    };
  });
}
