/**
 * Keys out of passkeys. The PRF extension of WebAuthn gives 32 bytes that depend on the passkey and a salt, and that
 * nobody has without the passkey and the person's finger, face or PIN. The signature itself is not looked at:
 * nothing is proven to anybody here, only a key is made.
 * Source: W3C Web Authentication Level 3, section 10.1.4.
 */

import { type Bytes, randomBytes } from "./bytes";
import { PasskeyRefused, PasskeyWithoutPrf } from "./errors";

export interface PasskeySalt {
  readonly credentialId: Bytes;
  readonly salt: Bytes;
}

export interface PasskeyAnswer {
  readonly credentialId: Bytes;
  /** 32 bytes; the caller wipes them. */
  readonly output: Bytes;
}

/** What the vault needs of passkeys; tests have another. */
export interface Passkeys {
  /** Makes a passkey and asks it for its output at `salt`. Throws PasskeyRefused, PasskeyWithoutPrf. */
  create(name: string, salt: Bytes): Promise<PasskeyAnswer>;
  /** One prompt; whichever of them the person uses answers. Throws PasskeyRefused, PasskeyWithoutPrf. */
  evaluate(known: readonly PasskeySalt[]): Promise<PasskeyAnswer>;
}

export type PasskeySupport = "platform" | "perhaps" | "none";

const TIMEOUT_MS = 120_000;
const OUTPUT_BYTES = 32;
const ES256 = -7;
const EDDSA = -8;
const RS256 = -257;

interface PrfResult {
  enabled?: boolean;
  results?: { first?: BufferSource };
}

/** Whether this device can lock a wallet by itself; "perhaps": a phone or security key might. */
export async function passkeySupport(): Promise<PasskeySupport> {
  if (typeof PublicKeyCredential === "undefined" || !window.isSecureContext) return "none";
  if (/^[\d.]+$|:/.test(location.hostname)) return "none"; // passkeys belong to names, not to addresses
  const capabilities = await PublicKeyCredential.getClientCapabilities?.().catch(() => null);
  if (capabilities?.["extension:prf"] === false) return "none";
  const platform = await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().catch(() => false);
  return platform ? "platform" : "perhaps";
}

export const browserPasskeys: Passkeys = {
  async create(name, salt) {
    const credential = await prompted(() =>
      navigator.credentials.create({
        publicKey: {
          rp: { name: location.hostname, id: location.hostname }, // not the title, which has the price in it
          user: { id: randomBytes(16), name, displayName: name }, // a new id: none of this site's is overwritten
          challenge: randomBytes(32),
          pubKeyCredParams: [ES256, EDDSA, RS256].map((alg) => ({ type: "public-key", alg })),
          authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
          timeout: TIMEOUT_MS,
          extensions: { prf: { eval: { first: salt } } },
        },
      }),
    );
    const credentialId = new Uint8Array(credential.rawId);
    const prf = prfOf(credential);
    const output = outputOf(prf);
    if (output !== null) return { credentialId, output };
    if (prf?.enabled !== true) {
      await forget(credentialId);
      throw new PasskeyWithoutPrf();
    }
    return browserPasskeys.evaluate([{ credentialId, salt }]); // many answer only when used, not when made
  },

  async evaluate(known) {
    const evalByCredential = Object.fromEntries(
      known.map(({ credentialId, salt }) => [base64Url(credentialId), { first: salt }]),
    );
    const credential = await prompted(() =>
      navigator.credentials.get({
        publicKey: {
          rpId: location.hostname,
          challenge: randomBytes(32),
          allowCredentials: known.map(({ credentialId }) => ({ type: "public-key", id: credentialId })),
          userVerification: "required",
          timeout: TIMEOUT_MS,
          extensions: { prf: { evalByCredential } },
        },
      }),
    );
    const output = outputOf(prfOf(credential));
    if (output === null) throw new PasskeyWithoutPrf();
    return { credentialId: new Uint8Array(credential.rawId), output };
  },
};

async function prompted(ask: () => Promise<Credential | null>): Promise<PublicKeyCredential> {
  let credential: Credential | null;
  try {
    credential = await ask();
  } catch (error) {
    throw new PasskeyRefused(error);
  }
  if (credential === null) throw new PasskeyRefused();
  return credential as PublicKeyCredential;
}

function prfOf(credential: PublicKeyCredential): PrfResult | null {
  return (credential.getClientExtensionResults() as { prf?: PrfResult }).prf ?? null;
}

function outputOf(prf: PrfResult | null): Bytes | null {
  const first = prf?.results?.first;
  if (first === undefined) return null;
  const view = ArrayBuffer.isView(first) ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength) : new Uint8Array(first);
  return view.length === OUTPUT_BYTES ? (view as Bytes) : null;
}

/** Has the device drop a passkey that is of no use, where browsers can tell it. */
async function forget(credentialId: Bytes): Promise<void> {
  const api = PublicKeyCredential as unknown as {
    signalUnknownCredential?: (which: { rpId: string; credentialId: string }) => Promise<void>;
  };
  await api
    .signalUnknownCredential?.({ rpId: location.hostname, credentialId: base64Url(credentialId) })
    .catch(() => undefined);
}

function base64Url(bytes: Bytes): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}
