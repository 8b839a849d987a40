/** Which wallets this browser keeps, and who signs now. Outside of React, so that one page has one of it. */

import { useSyncExternalStore } from "react";

import type { DamagedWallet, Wallet } from "../vault/record";
import { openStore, type WalletStore } from "../vault/store";
import type { Vault } from "../vault/vault";
import type { Signer } from "./signer";

export interface WalletState {
  /** False until the browser's store has been read. */
  readonly loaded: boolean;
  /** The one used last comes first. */
  readonly wallets: readonly Wallet[];
  /** Stored here, and of no use: not wallets from elsewhere, and not none. */
  readonly damaged: readonly DamagedWallet[];
  /** Why it is not known what is stored here; null when it is. */
  readonly unreadable: string | null;
  readonly signer: Signer | null;
}

let state: WalletState = { loaded: false, wallets: [], damaged: [], unreadable: null, signer: null };
let store: WalletStore | null = null;
const listeners = new Set<() => void>();

function change(changes: Partial<WalletState>): void {
  state = { ...state, ...changes };
  listeners.forEach((listener) => listener());
}

/** The store of this browser; the first call also reads it. */
export function walletStore(): WalletStore {
  if (store === null) {
    store = openStore();
    store.onChange(() => void reloadWallets());
    void reloadWallets();
  }
  return store;
}

/** Reads the store again; resolves when `wallets` is up to date. */
export async function reloadWallets(): Promise<void> {
  try {
    const [wallets, damaged] = await Promise.all([walletStore().list(), walletStore().damaged()]);
    change({ loaded: true, wallets, damaged, unreadable: null });
  } catch (error) {
    const unreadable = error instanceof Error ? error.message : String(error);
    change({ loaded: true, wallets: [], damaged: [], unreadable });
  }
}

/** The vault, which is loaded when it is needed. */
export async function openVault(): Promise<Vault> {
  const { Vault } = await import("../vault/vault");
  return new Vault(walletStore());
}

export function setSigner(signer: Signer | null): void {
  if (state.signer !== signer) change({ signer });
}

export function walletState(): WalletState {
  return state;
}

function listen(listener: () => void): () => void {
  walletStore();
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useWalletState(): WalletState {
  return useSyncExternalStore(listen, walletState);
}

/** The stored wallet with this address; null when it is none of this browser's. */
export function walletOf(wallets: readonly Wallet[], address: string | undefined): Wallet | null {
  return wallets.find((wallet) => wallet.address === address) ?? null;
}
