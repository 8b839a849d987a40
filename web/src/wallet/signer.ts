/** Whoever signs for the person: the wallet in this page, or one that the browser has. */

import type { Address, Hex, TypedDataDefinition } from "viem";

/** What is asked for, in words that are shown before anything is signed. */
export interface Purpose {
  title: string;
  lines: { label: string; value: string }[];
  warning?: string;
}

export interface Transaction {
  to: Address;
  value?: bigint;
  data?: Hex;
}

export interface Signer {
  readonly kind: "embedded" | "injected";
  readonly name: string;
  readonly address: Address;
  /** For signing in. Throws SignatureRefused. */
  signMessage(text: string): Promise<Hex>;
  /** Shows all of it; the wallet in this page asks to be unlocked anew. Throws SignatureRefused. */
  signTypedData(data: TypedDataDefinition, purpose: Purpose): Promise<Hex>;
  /** The hash, once the transaction is on its way. Throws SignatureRefused, and what the node says. */
  sendTransaction(transaction: Transaction, purpose: Purpose): Promise<Hex>;
}

/** The person said no, or closed what asked. */
export class SignatureRefused extends Error {
  constructor() {
    super("You did not sign");
    this.name = "SignatureRefused";
  }
}
