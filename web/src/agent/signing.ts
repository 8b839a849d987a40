/**
 * Requests signed by a key of this browser, as docs/api/signing.md has them: Ed25519 over nine lines of text.
 * The secret is a CryptoKey that no script can read, this one included.
 */

export interface Deployed {
  readonly genesisId: string;
  readonly host: string;
}

export interface ToSign {
  readonly method: string;
  /** Path and query, exactly as they are sent. */
  readonly target: string;
  /** The text that is sent; empty when there is no body. */
  readonly body: string;
  readonly nonce: string;
  readonly expiresMs: string;
}

const UTF8 = new TextEncoder();

export function hex(bytes: ArrayBuffer | Uint8Array): string {
  const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  return Array.from(view, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The text whose bytes are signed. */
export async function requestText(deployed: Deployed, key: string, request: ToSign): Promise<string> {
  const bodyHash = hex(await crypto.subtle.digest("SHA-256", UTF8.encode(request.body)));
  return [
    "exchange-request-1",
    deployed.genesisId,
    deployed.host,
    key,
    request.method,
    request.target,
    bodyHash,
    request.nonce,
    request.expiresMs,
  ].join("\n");
}

/** The four headers that make a request the key's. */
export async function signedHeaders(
  deployed: Deployed,
  key: string,
  secret: CryptoKey,
  request: ToSign,
): Promise<Record<string, string>> {
  const text = await requestText(deployed, key, request);
  const signature = await crypto.subtle.sign("Ed25519", secret, UTF8.encode(text));
  return {
    "Exchange-Key": key,
    "Exchange-Nonce": request.nonce,
    "Exchange-Expires": request.expiresMs,
    "Exchange-Signature": `0x${hex(signature)}`,
  };
}

export interface NewKey {
  /** The key's id: 0x and the 64 digits of the public key. */
  readonly key: string;
  readonly secret: CryptoKey;
}

/** A key pair whose secret never leaves the browser. Throws where the browser has no Ed25519. */
export async function newKey(): Promise<NewKey> {
  const pair = (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"])) as CryptoKeyPair;
  return { key: `0x${hex(await crypto.subtle.exportKey("raw", pair.publicKey))}`, secret: pair.privateKey };
}

/** Whether this browser can make such keys. */
export async function hasEd25519(): Promise<boolean> {
  try {
    await newKey();
    return true;
  } catch {
    return false;
  }
}
