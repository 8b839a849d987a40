/** Signs with a wallet that the browser has. It asks the person by itself; here is only the waiting for it. */

import {
  type Address,
  getAddress,
  getTypesForEIP712Domain,
  type Hex,
  isAddress,
  isHex,
  numberToHex,
  serializeTypedData,
  stringToHex,
  type TypedDataDefinition,
} from "viem";

import { fetchDeployment } from "../api/deployment";
import { NETWORK_NAMES } from "./chain";
import type { AnnouncedProvider, Provider } from "./providers";
import { ask } from "./requests";
import { type Purpose, SignatureRefused, type Signer, type Transaction } from "./signer";

const REFUSED = 4001;
const ALREADY_ASKING = -32002;
const UNKNOWN_CHAIN = 4902;
/** A wallet that answers at once needs no dialog that says so. */
const PATIENCE_MS = 400;

/** What the wallet said, in words that can be shown. */
export class WalletFailed extends Error {
  readonly code: number | null;

  constructor(message: string, code: number | null, options?: ErrorOptions) {
    super(message, options);
    this.name = "WalletFailed";
    this.code = code;
  }
}

/** Asks the wallet for its account. Throws SignatureRefused, WalletFailed. */
export async function connect(wallet: AnnouncedProvider): Promise<InjectedSigner> {
  const purpose = { title: "Connect", lines: [] };
  const accounts = await waitedFor(wallet.name, purpose, call(wallet.provider, "eth_requestAccounts"));
  return new InjectedSigner(wallet, firstOf(accounts) ?? failNoAccount());
}

/** The wallet's signer when it already shows this account to the page; asks nobody. */
export async function reconnect(wallet: AnnouncedProvider, address: string): Promise<InjectedSigner | null> {
  const accounts = await call(wallet.provider, "eth_accounts").catch(() => []);
  return firstOf(accounts) === address ? new InjectedSigner(wallet, address as Address) : null;
}

export class InjectedSigner implements Signer {
  readonly kind = "injected";
  readonly name: string;
  readonly address: Address;
  readonly rdns: string;
  readonly #provider: Provider;

  constructor(wallet: AnnouncedProvider, address: Address) {
    this.name = wallet.name;
    this.rdns = wallet.rdns;
    this.address = address;
    this.#provider = wallet.provider;
  }

  /** Called once when the wallet no longer shows this account. */
  onGone(gone: () => void): () => void {
    const provider = this.#provider;
    const onAccounts = (accounts: unknown): void => {
      if (firstOf(accounts) !== this.address) leave(gone);
    };
    const leave = (then?: () => void): void => {
      provider.removeListener?.("accountsChanged", onAccounts);
      then?.();
    };
    provider.on?.("accountsChanged", onAccounts);
    return () => leave();
  }

  async signMessage(text: string): Promise<Hex> {
    const purpose = { title: "Sign in", lines: [] };
    const params = [stringToHex(text), this.address];
    return waitedFor(this.name, purpose, call(this.#provider, "personal_sign", params)).then(signatureOf);
  }

  async signTypedData(data: TypedDataDefinition, purpose: Purpose): Promise<Hex> {
    const { domain, message, primaryType } = data as { domain?: object; message: unknown; primaryType: string };
    const types = { EIP712Domain: getTypesForEIP712Domain({ domain }), ...data.types };
    const text = serializeTypedData({ domain, message, primaryType, types } as Parameters<typeof serializeTypedData>[0]);
    return waitedFor(this.name, purpose, this.#onOurChain("eth_signTypedData_v4", [this.address, text])).then(signatureOf);
  }

  async sendTransaction(transaction: Transaction, purpose: Purpose): Promise<Hex> {
    const { to, value, data } = transaction;
    const { chain_id } = await fetchDeployment();
    const given = {
      from: this.address,
      to,
      chainId: numberToHex(chain_id), // wallets that look at it refuse when they are on another
      ...(value === undefined ? {} : { value: numberToHex(value) }),
      ...(data === undefined ? {} : { data }),
    };
    const sent = this.#onOurChain("eth_sendTransaction", [given]);
    // Who stops waiting has not refused: what is confirmed in the wallet later is sent all the same.
    const words = `You stopped waiting. What you confirm in ${this.name} still counts: look there before you try again`;
    return waitedFor(this.name, purpose, sent, () => new WalletFailed(words, null)).then(hashOf);
  }

  /** Wallets sign for the chain that they are on: first they are brought to the exchange's. */
  async #onOurChain(method: string, params: unknown[]): Promise<unknown> {
    await this.#switchChain();
    const accounts = await call(this.#provider, "eth_accounts");
    if (firstOf(accounts) !== this.address) {
      throw new WalletFailed(`${this.name} is on another account now. Choose ${this.address} there`, null);
    }
    return call(this.#provider, method, params);
  }

  async #switchChain(): Promise<void> {
    const { chain_id, rpc_url } = await fetchDeployment();
    if (await this.#isOn(chain_id)) return;
    const chainId = numberToHex(chain_id);
    try {
      await call(this.#provider, "wallet_switchEthereumChain", [{ chainId }]);
    } catch (error) {
      if (!(error instanceof WalletFailed) || error.code !== UNKNOWN_CHAIN || rpc_url === null) throw error;
      const nativeCurrency = { name: "Ether", symbol: "ETH", decimals: 18 };
      const chainName = NETWORK_NAMES[chain_id] ?? `Chain ${chain_id}`;
      await call(this.#provider, "wallet_addEthereumChain", [{ chainId, chainName, nativeCurrency, rpcUrls: [rpc_url] }]);
    }
    // A wallet that says yes need not have switched: elsewhere, what is sent would be lost.
    if (!(await this.#isOn(chain_id))) {
      throw new WalletFailed(`${this.name} is on another chain. Choose chain ${chain_id} there, then try again`, null);
    }
  }

  async #isOn(chainId: number): Promise<boolean> {
    const now = await call(this.#provider, "eth_chainId");
    return typeof now === "string" && /^0x[0-9a-fA-F]+$/.test(now) && BigInt(now) === BigInt(chainId);
  }
}

/** Throws SignatureRefused, WalletFailed. */
async function call(provider: Provider, method: string, params?: unknown): Promise<unknown> {
  try {
    return await provider.request(params === undefined ? { method } : { method, params });
  } catch (error) {
    throw spoken(error);
  }
}

/** Wallets throw plain objects of many shapes; some put the real one inside. */
export function spoken(error: unknown): SignatureRefused | WalletFailed {
  const said = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  const inner = ((said["data"] as Record<string, unknown> | undefined)?.["originalError"] ?? {}) as Record<string, unknown>;
  const code = [inner["code"], said["code"]].find((each) => typeof each === "number");
  const message = typeof said["message"] === "string" ? said["message"] : "";
  if (code === REFUSED || said["code"] === "ACTION_REJECTED" || /user (rejected|denied)/i.test(message)) {
    return new SignatureRefused();
  }
  if (code === ALREADY_ASKING) return new WalletFailed("The wallet is already asking. Open it and answer there", code, { cause: error });
  return new WalletFailed(message === "" ? "The wallet did not answer as it should" : message, (code as number) ?? null, {
    cause: error,
  });
}

/** Shows, after a moment, that the wallet is waited for. Throws what `stop` makes when the person stops waiting. */
async function waitedFor<T>(
  wallet: string,
  purpose: Purpose,
  answer: Promise<T>,
  stop: () => Error = () => new SignatureRefused(),
): Promise<T> {
  const over = new AbortController();
  const stopped = new Promise<never>((_, reject) => {
    const timer = setTimeout(() => {
      ask<"waiting">({ kind: "waiting", wallet, purpose }, over.signal).catch(() => {
        if (!over.signal.aborted) reject(stop());
      });
    }, PATIENCE_MS);
    over.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  });
  try {
    return await Promise.race([answer, stopped]);
  } finally {
    over.abort();
  }
}

function firstOf(accounts: unknown): Address | null {
  const first: unknown = Array.isArray(accounts) ? accounts[0] : null;
  return typeof first === "string" && isAddress(first, { strict: false }) ? getAddress(first) : null;
}

function failNoAccount(): never {
  throw new WalletFailed("The wallet has no account for this page", null);
}

function hexOf(answer: unknown): Hex {
  if (!isHex(answer)) throw new WalletFailed("The wallet did not answer as it should", null);
  return answer;
}

/** A transaction is followed by its hash: what is none would be waited for without end. */
function hashOf(answer: unknown): Hex {
  const hash = hexOf(answer);
  if (hash.length !== 66) throw new WalletFailed("The wallet did not say which transaction it has sent. Look there before you try again", null);
  return hash;
}

/** Some wallets count recovery from 0; the exchange, as Ethereum does, from 27. */
function signatureOf(answer: unknown): Hex {
  const signature = hexOf(answer);
  if (signature.length !== 132) return signature; // the exchange says what is wrong with it
  const v = Number.parseInt(signature.slice(-2), 16);
  return v < 2 ? `${signature.slice(0, -2) as Hex}${(v + 27).toString(16)}` : signature;
}
