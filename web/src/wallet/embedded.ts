/** Signs with a wallet of this browser. It holds no key: each signature asks, unlocks, signs, and wipes. */

import type { Address, Hex, TypedDataDefinition } from "viem";

import { fetchDeployment } from "../api/deployment";
import type { Opened } from "../vault/secret";
import { ask } from "./requests";
import { isSignInText } from "./sign-in-text";
import type { Purpose, Signer, Transaction } from "./signer";

export class EmbeddedSigner implements Signer {
  readonly kind = "embedded";
  readonly name: string;
  readonly address: Address;
  #justOpened: Opened | null = null;

  constructor(wallet: { name: string; address: Address }) {
    this.name = wallet.name;
    this.address = wallet.address;
  }

  /**
   * For the sign-in that follows an unlock at once: `work` may have one sign-in text signed without another question.
   * The key is wiped by then, whatever happens.
   */
  async justUnlocked<T>(opened: Opened, work: () => Promise<T>): Promise<T> {
    this.#justOpened = opened;
    try {
      return await work();
    } finally {
      this.#justOpened = null;
      opened.wipe();
    }
  }

  async signMessage(text: string): Promise<Hex> {
    const opened = this.#justOpened;
    this.#justOpened = null;
    if (opened !== null) {
      const { chain_id } = await fetchDeployment();
      if (isSignInText(text, this.address, { host: location.host, origin: location.origin, chainId: chain_id })) {
        const account = await opened.account();
        return account.signMessage({ message: text });
      }
    }
    return ask<"message">({ kind: "message", address: this.address, text });
  }

  signTypedData(data: TypedDataDefinition, purpose: Purpose): Promise<Hex> {
    return ask<"typed-data">({ kind: "typed-data", address: this.address, data, purpose });
  }

  sendTransaction(transaction: Transaction, purpose: Purpose): Promise<Hex> {
    return ask<"transaction">({ kind: "transaction", address: this.address, transaction, purpose });
  }
}
