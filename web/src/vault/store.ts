/** The wallets of this browser, in IndexedDB. Small, so that the app can look who is here before it loads the vault. */

import { VaultUnavailable, WalletDamaged, WalletMissing } from "./errors";
import { type DamagedWallet, damagedWallet, parseWallet, storedForm, type Wallet } from "./record";

const NAME = "exchange-vault";
const LAYOUT = 1;
const WALLETS = "wallets";
const SETTINGS = "settings";
const ACTIVE = "active";
const CHANNEL = "exchange-vault";

export interface WalletStore {
  /** The active wallet first, then by age. Damaged ones are left out, and stay where they are. */
  list(): Promise<Wallet[]>;
  /** Those that `list` leaves out. */
  damaged(): Promise<DamagedWallet[]>;
  /** Whatever is stored there, as it is. */
  stored(key: IDBValidKey): Promise<unknown>;
  /** Throws WalletMissing, WalletDamaged. */
  get(address: string): Promise<Wallet>;
  /** Adds or replaces it, and makes it the active one. */
  put(wallet: Wallet): Promise<void>;
  /** Reads, changes and writes in one step, whatever other tabs do. Throws what `change` throws, and as `get`. */
  change(address: string, change: (wallet: Wallet) => Wallet): Promise<Wallet>;
  setActive(address: string): Promise<void>;
  remove(key: IDBValidKey): Promise<void>;
  /** Called when a wallet was changed, here or in another tab. */
  onChange(listener: () => void): () => void;
}

export function openStore(factory: IDBFactory | undefined = globalThis.indexedDB): WalletStore {
  let opening: Promise<IDBDatabase> | null = null;
  const listeners = new Set<() => void>();
  const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(CHANNEL);
  const heard = (): void => listeners.forEach((listener) => listener());
  channel?.addEventListener("message", heard);
  (channel as { unref?: () => void } | null)?.unref?.(); // under Node it would keep the process alive

  function database(): Promise<IDBDatabase> {
    opening ??= openDatabase(factory, () => (opening = null)).catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  }

  async function within<T>(
    mode: IDBTransactionMode,
    work: (wallets: IDBObjectStore, settings: IDBObjectStore, done: (result: T) => void) => void,
  ): Promise<T> {
    const transaction = (await database()).transaction([WALLETS, SETTINGS], mode);
    const result = await new Promise<T>((resolve, reject) => {
      let outcome: T;
      transaction.oncomplete = () => resolve(outcome);
      transaction.onabort = () => reject(failure(transaction) ?? unavailable(transaction.error));
      work(transaction.objectStore(WALLETS), transaction.objectStore(SETTINGS), (value) => (outcome = value));
    });
    if (mode === "readwrite") {
      heard();
      channel?.postMessage("changed");
    }
    return result;
  }

  return {
    list: () =>
      within<Wallet[]>("readonly", (wallets, settings, done) => {
        const active = settings.get(ACTIVE);
        const all = wallets.getAll();
        all.onsuccess = () => done(inOrder(all.result.flatMap(parsedOrNone), active.result as unknown));
      }),

    damaged: () =>
      within<DamagedWallet[]>("readonly", (wallets, _, done) => {
        const keys = wallets.getAllKeys();
        const all = wallets.getAll();
        all.onsuccess = () => done(keys.result.flatMap((key, i) => damagedOrNone(key, all.result[i])));
      }),

    stored: (key) =>
      within<unknown>("readonly", (wallets, _, done) => {
        const found = wallets.get(key);
        found.onsuccess = () => done(found.result);
      }),

    get: (address) =>
      within<Wallet>("readonly", (wallets, _, done) => {
        const found = wallets.get(address);
        found.onsuccess = () => abortingOn(wallets.transaction, () => done(existing(address, found.result)));
      }),

    put: (wallet) =>
      within<void>("readwrite", (wallets, settings, done) => {
        wallets.put(storedForm(wallet));
        settings.put(wallet.address, ACTIVE);
        done();
      }),

    change: (address, change) =>
      within<Wallet>("readwrite", (wallets, _, done) => {
        const found = wallets.get(address);
        found.onsuccess = () =>
          abortingOn(wallets.transaction, () => {
            const changed = change(existing(address, found.result));
            wallets.put(storedForm(changed));
            done(changed);
          });
      }),

    setActive: (address) =>
      within<void>("readwrite", (_, settings, done) => {
        settings.put(address, ACTIVE);
        done();
      }),

    remove: (key) =>
      within<void>("readwrite", (wallets, _, done) => {
        wallets.delete(key);
        done();
      }),

    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

const failures = new WeakMap<IDBTransaction, unknown>();

function failure(transaction: IDBTransaction): unknown {
  return failures.get(transaction);
}

/** What is thrown within a request's handler ends the transaction, and reaches whoever waits for it. */
function abortingOn(transaction: IDBTransaction, work: () => void): void {
  try {
    work();
  } catch (error) {
    failures.set(transaction, error);
    transaction.abort();
  }
}

function existing(address: string, stored: unknown): Wallet {
  if (stored === undefined) throw new WalletMissing(address);
  const wallet = parseWallet(stored);
  if (wallet.address !== address) throw new WalletDamaged("address");
  return wallet;
}

function parsedOrNone(stored: unknown): Wallet[] {
  try {
    return [parseWallet(stored)];
  } catch (error) {
    if (error instanceof WalletDamaged) return [];
    throw error;
  }
}

function damagedOrNone(key: IDBValidKey, stored: unknown): DamagedWallet[] {
  try {
    parseWallet(stored);
    return [];
  } catch (error) {
    if (error instanceof WalletDamaged) return [damagedWallet(key, stored, error.what)];
    throw error;
  }
}

function inOrder(wallets: Wallet[], active: unknown): Wallet[] {
  const rank = (wallet: Wallet): number => (wallet.address === active ? 0 : 1);
  return wallets.sort((one, other) => rank(one) - rank(other) || one.createdMs - other.createdMs);
}

function openDatabase(factory: IDBFactory | undefined, closed: () => void): Promise<IDBDatabase> {
  if (factory === undefined) return Promise.reject(unavailable(null));
  return new Promise((resolve, reject) => {
    const request = factory.open(NAME, LAYOUT);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(WALLETS, { keyPath: "address" });
      request.result.createObjectStore(SETTINGS);
    };
    request.onerror = () => reject(unavailable(request.error));
    request.onsuccess = () => {
      const database = request.result;
      database.onclose = closed;
      database.onversionchange = () => {
        database.close(); // a newer version of the app, in another tab, wants to change the layout
        closed();
      };
      resolve(database);
    };
  });
}

function unavailable(cause: unknown): VaultUnavailable {
  return new VaultUnavailable("This browser keeps no data for this page (private mode?)", { cause });
}
