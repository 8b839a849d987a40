/** What can go wrong with a wallet that is kept in this browser: one class for each cause. */

export class VaultError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The password does not open the wallet. (Altered bytes of its wrapped key look the same.) */
export class WrongPassword extends VaultError {
  constructor() {
    super("This is not the password of the wallet");
  }
}

/** The passkey's prompt was closed, ran out of time, or the device has no such passkey. */
export class PasskeyRefused extends VaultError {
  constructor(cause?: unknown) {
    super("The passkey was not used. Try again, or unlock in another way", { cause });
  }
}

/** The passkey cannot make keys (it lacks the PRF extension), so that it cannot lock a wallet. */
export class PasskeyWithoutPrf extends VaultError {
  constructor() {
    super("This passkey cannot lock a wallet. Use another one, or a password");
  }
}

/** The passkey answered, but the key made of it does not open the wallet. */
export class WrongPasskey extends VaultError {
  constructor() {
    super("This passkey does not open the wallet");
  }
}

/** What is stored is not what was written: another format, or altered. */
export class WalletDamaged extends VaultError {
  readonly what: string;

  constructor(what: string) {
    super(`The stored wallet is damaged (${what}). Import its phrase again`);
    this.what = what;
  }
}

export class WalletMissing extends VaultError {
  readonly address: string;

  constructor(address: string) {
    super("This wallet is no longer in this browser");
    this.address = address;
  }
}

/** It was brought in anew, perhaps in another tab, while it was being changed here: what was unlocked is no longer it. */
export class WalletReplaced extends VaultError {
  constructor() {
    super("The wallet was imported again meanwhile. Nothing was changed. Try again");
  }
}

/** Without a way to unlock, the wallet would be lost. */
export class LastMethod extends VaultError {
  constructor() {
    super("A wallet needs one way to unlock it. Add another one first");
  }
}

export type PhraseFault = "length" | "word" | "checksum";

export class BadPhrase extends VaultError {
  readonly fault: PhraseFault;
  /** Counted from 1; of the first unknown word. */
  readonly position: number | null;

  constructor(fault: PhraseFault, message: string, position: number | null = null) {
    super(message);
    this.fault = fault;
    this.position = position;
  }
}

export class BadKeystore extends VaultError {}

export class WrongKeystorePassword extends VaultError {
  constructor() {
    super("This is not the password of the keystore file");
  }
}

/** The key has been wiped from memory: unlock again. */
export class Locked extends VaultError {
  constructor() {
    super("The wallet is locked");
  }
}

/** The browser keeps nothing for this page, or offers no cryptography to it. */
export class VaultUnavailable extends VaultError {}
