/**
 * The keys of this browser, in IndexedDB: one for each exchange and owner. A record holds the CryptoKey itself, which
 * can be used here and copied nowhere. The last nonce stands beside it, so that tabs never use the same one.
 */

const DATABASE = "exchange-agent";
const KEYS = "keys";
const NONCES = "nonces";
/** The exchange takes no nonce that is further from its time. */
const TAKEN_WITHIN_US = 60_000_000;

/** "left": its secret is erased here, and the exchange could not be told yet that it is over. */
export type KeyState = "active" | "revoked" | "expired" | "left";

export interface AgentKey {
  /** `slot(genesisId, owner)`. */
  readonly slot: string;
  readonly key: string;
  /** Null once it is left. */
  readonly secret: CryptoKey | null;
  readonly name: string;
  readonly expiresMs: number;
  readonly state: KeyState;
}

/** Where the key of this owner on this exchange is kept. */
export function slot(genesisId: string, owner: string): string {
  return `${genesisId}:${owner.toLowerCase()}`;
}

let opened: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(KEYS, { keyPath: "slot" });
      request.result.createObjectStore(NONCES);
    };
    request.onsuccess = () => {
      request.result.onversionchange = () => {
        request.result.close();
        opened = null;
      };
      resolve(request.result);
    };
    request.onerror = () => reject(request.error ?? new Error("IndexedDB can not be opened"));
  }).catch((error: unknown) => {
    opened = null;
    throw error;
  });
  return opened;
}

function ended<T>(request: IDBRequest<T>): Promise<T> {
  const { transaction } = request;
  return new Promise((resolve, reject) => {
    if (transaction === null) return reject(new Error("no transaction"));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error ?? new Error("IndexedDB has aborted"));
  });
}

export async function readKey(at: string): Promise<AgentKey | null> {
  const store = (await open()).transaction(KEYS).objectStore(KEYS);
  return (await ended(store.get(at) as IDBRequest<AgentKey | undefined>)) ?? null;
}

/** All that this browser has of the owner's: one for each exchange that was at this address. */
export async function readKeysOf(owner: string): Promise<AgentKey[]> {
  const store = (await open()).transaction(KEYS).objectStore(KEYS);
  const all = await ended(store.getAll() as IDBRequest<AgentKey[]>);
  return all.filter((each) => each.slot.endsWith(`:${owner.toLowerCase()}`));
}

export async function writeKey(key: AgentKey): Promise<void> {
  await ended((await open()).transaction(KEYS, "readwrite").objectStore(KEYS).put(key));
}

export async function deleteKey(at: string): Promise<void> {
  await ended((await open()).transaction(KEYS, "readwrite").objectStore(KEYS).delete(at));
}

/**
 * A nonce that no tab has had: the time in microseconds, or one more than the last. Reading and writing are one
 * transaction, which IndexedDB puts in a row over all tabs. One far ahead is left behind: it was made by a clock that
 * was wrong, and never taken.
 */
export async function nextNonce(key: string, nowMs: number): Promise<string> {
  const store = (await open()).transaction(NONCES, "readwrite").objectStore(NONCES);
  let nonce = nowMs * 1_000; // below 2^53 until the year 2255
  return new Promise((resolve, reject) => {
    const read = store.get(key) as IDBRequest<number | undefined>;
    read.onsuccess = () => {
      const next = (read.result ?? 0) + 1;
      if (next > nonce && next - nonce <= TAKEN_WITHIN_US) nonce = next;
      store.put(nonce, key);
    };
    store.transaction.oncomplete = () => resolve(String(nonce));
    store.transaction.onabort = () => reject(store.transaction.error ?? new Error("IndexedDB has aborted"));
  });
}
