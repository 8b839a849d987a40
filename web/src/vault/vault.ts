/**
 * Wallets that live in this browser. This module and the files beside it are all that ever touches a key; they know
 * nothing of the app around them and could be served from an origin of their own.
 *
 *     add       a secret and one way to unlock it  ->  stored, encrypted
 *     unlock    a password or passkey              ->  Opened: signs until it is wiped, which the caller does at once
 *
 * Nothing stays unlocked: each thing that needs the key (a signature, an export, another unlock method) unlocks anew.
 */

import type { Address } from "viem";

import { type Bytes, randomBytes, sameBytes, toHex, wipe } from "./bytes";
import { aesKey, type OnProgress, passkeyKey, PASSWORD_COST, passwordKey, type ScryptCost, seal, unseal } from "./cipher";
import { LastMethod, PasskeyRefused, VaultUnavailable, WalletDamaged, WalletReplaced, WrongPasskey, WrongPassword } from "./errors";
import { browserPasskeys, type PasskeyAnswer, type Passkeys } from "./passkey";
import { MAX_LABEL_CHARS, type Method, methodAssociated, secretAssociated, VERSION, type Wallet } from "./record";
import { accountOf, Opened, packSecret, type Secret, unpackSecret } from "./secret";
import type { WalletStore } from "./store";

/** How a person shows that the wallet is theirs. */
export type Unlock = { kind: "password"; password: string; onProgress?: OnProgress } | { kind: "passkey" };

/** A way to unlock that is to be. A wallet has one password at most: another one takes its place. */
export type NewMethod =
  | { kind: "password"; password: string; onProgress?: OnProgress }
  | { kind: "passkey"; label: string };

export interface NewWallet {
  name: string;
  backupConfirmed: boolean;
}

export const MIN_PASSWORD_CHARS = 10;

export class Vault {
  readonly #store: WalletStore;
  readonly #passkeys: Passkeys;
  readonly #cost: ScryptCost;
  readonly #now: () => number;

  constructor(
    store: WalletStore,
    passkeys: Passkeys = browserPasskeys,
    cost: ScryptCost = PASSWORD_COST,
    now: () => number = Date.now,
  ) {
    this.#store = store;
    this.#passkeys = passkeys;
    this.#cost = cost;
    this.#now = now;
  }

  /**
   * Stores the wallet as the active one. The same wallet stored before is replaced, with its unlock methods: who has
   * the secret needs none of them. The caller wipes `secret`, and what is returned. Throws PasskeyRefused, PasskeyWithoutPrf, VaultUnavailable.
   */
  async add(secret: Secret, about: NewWallet, method: NewMethod): Promise<Opened> {
    requireCryptography();
    const { address } = await accountOf(secret);
    const dataKey = randomBytes(32);
    const packed = packSecret(secret);
    try {
      const bound = { version: VERSION, address, secretKind: secret.kind } as const;
      const wallet: Wallet = {
        ...bound,
        name: about.name,
        createdMs: this.#now(),
        backupConfirmed: about.backupConfirmed,
        secret: await seal(await aesKey(dataKey), packed, secretAssociated(bound)),
        methods: [await this.#newMethod(address, about.name, dataKey, method)],
      };
      await this.#store.put(wallet);
      return new Opened(address, { kind: secret.kind, bytes: secret.bytes.slice() });
    } finally {
      wipe(dataKey, packed);
    }
  }

  /** Throws WrongPassword, PasskeyRefused, WrongPasskey, WalletMissing, WalletDamaged. */
  async unlock(address: string, unlock: Unlock): Promise<Opened> {
    const wallet = await this.#store.get(address);
    const dataKey = await this.#dataKey(wallet, unlock);
    try {
      const packed = await unseal(await aesKey(dataKey), wallet.secret, secretAssociated(wallet));
      if (packed === null) throw new WalletDamaged("its secret does not belong to it");
      const secret = unpackSecret(packed);
      wipe(packed);
      const opened = new Opened(wallet.address, secret);
      if (secret.kind !== wallet.secretKind || (await opened.account()).address !== wallet.address) {
        opened.wipe();
        throw new WalletDamaged("its key is of another address");
      }
      return opened;
    } finally {
      wipe(dataKey);
    }
  }

  /** Unlocks, does it, and wipes the key whatever happens. */
  async withUnlocked<T>(address: string, unlock: Unlock, work: (opened: Opened) => Promise<T>): Promise<T> {
    const opened = await this.unlock(address, unlock);
    try {
      return await work(opened);
    } finally {
      opened.wipe();
    }
  }

  /** Throws WalletReplaced, and as unlock and add do. */
  async addMethod(address: string, unlock: Unlock, method: NewMethod): Promise<void> {
    const wallet = await this.#store.get(address);
    const dataKey = await this.#dataKey(wallet, unlock);
    try {
      const made = await this.#newMethod(wallet.address, wallet.name, dataKey, method);
      await this.#store.change(address, (now) => {
        if (!sameBytes(now.secret.iv, wallet.secret.iv)) throw new WalletReplaced(); // it has another data key now
        const kept = now.methods.filter((each) => each.kind === "passkey" || made.kind === "passkey");
        return { ...now, methods: [...kept, made] };
      });
    } finally {
      wipe(dataKey);
    }
  }

  /** Throws LastMethod, and as unlock does. */
  async removeMethod(address: string, unlock: Unlock, id: string): Promise<void> {
    wipe(await this.#dataKey(await this.#store.get(address), unlock));
    await this.#store.change(address, (wallet) => {
      const kept = wallet.methods.filter((method) => method.id !== id);
      if (kept.length === 0) throw new LastMethod();
      return { ...wallet, methods: kept };
    });
  }

  /**
   * What a passkey is called is for the person alone: nothing is encrypted with it, and it unlocks nothing, so it
   * changes without an unlock.
   */
  async renamePasskey(address: string, id: string, label: string): Promise<void> {
    if (label.trim() === "" || label.length > MAX_LABEL_CHARS) throw new RangeError("not a name for a passkey");
    await this.#store.change(address, (wallet) => ({
      ...wallet,
      methods: wallet.methods.map((method) =>
        method.id === id && method.kind === "passkey" ? { ...method, label } : method,
      ),
    }));
  }

  /** The person has shown that the phrase is written down elsewhere. */
  async confirmBackup(address: string): Promise<void> {
    await this.#store.change(address, (wallet) => ({ ...wallet, backupConfirmed: true }));
  }

  /** The random key that the secret is encrypted with; the caller wipes it. */
  async #dataKey(wallet: Wallet, unlock: Unlock): Promise<Bytes> {
    requireCryptography();
    return unlock.kind === "password" ? this.#byPassword(wallet, unlock) : this.#byPasskey(wallet);
  }

  async #byPassword(wallet: Wallet, unlock: Unlock & { kind: "password" }): Promise<Bytes> {
    for (const method of wallet.methods) {
      if (method.kind !== "password") continue;
      const key = await passwordKey(unlock.password, method.salt, method.cost, unlock.onProgress);
      const dataKey = await unseal(key, method.wrapped, methodAssociated(wallet.address, method));
      if (dataKey !== null) return dataKey;
    }
    throw new WrongPassword();
  }

  async #byPasskey(wallet: Wallet): Promise<Bytes> {
    const known = wallet.methods.filter((method) => method.kind === "passkey");
    if (known.length === 0) throw new PasskeyRefused();
    const answer = await this.#passkeys.evaluate(known);
    const method = known.find((each) => sameBytes(each.credentialId, answer.credentialId));
    const key = await passkeyKey(answer.output, wallet.address);
    if (method === undefined) throw new WrongPasskey();
    const dataKey = await unseal(key, method.wrapped, methodAssociated(wallet.address, method));
    if (dataKey === null) throw new WrongPasskey();
    return dataKey;
  }

  async #newMethod(address: Address, walletName: string, dataKey: Bytes, method: NewMethod): Promise<Method> {
    const shared = { id: toHex(randomBytes(8)), createdMs: this.#now(), salt: randomBytes(32) };
    if (method.kind === "password") {
      const key = await passwordKey(method.password, shared.salt, this.#cost, method.onProgress);
      const made = { ...shared, kind: "password", label: "Password", cost: this.#cost } as const;
      return { ...made, wrapped: await seal(key, dataKey, methodAssociated(address, made)) };
    }
    const short = `${address.slice(0, 6)}…${address.slice(-4)}`;
    const answer: PasskeyAnswer = await this.#passkeys.create(`${walletName} (${short})`, shared.salt);
    const key = await passkeyKey(answer.output, address);
    const made = { ...shared, kind: "passkey", label: method.label, credentialId: answer.credentialId } as const;
    return { ...made, wrapped: await seal(key, dataKey, methodAssociated(address, made)) };
  }
}

function requireCryptography(): void {
  if (globalThis.crypto?.subtle === undefined) {
    throw new VaultUnavailable("A wallet in the page needs https (or localhost): this page has neither");
  }
}
