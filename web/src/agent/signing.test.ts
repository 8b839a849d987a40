import { describe, expect, it } from "vitest";

import vectors from "../../../tests/signing/vectors.json";
import { newKey, requestText, signedHeaders } from "./signing";

const deployed = { genesisId: vectors.genesis_id, host: vectors.host };

/** PKCS #8 of an Ed25519 secret, RFC 8410. */
async function secretKey(hex: string): Promise<CryptoKey> {
  const bytes = Uint8Array.from(("302e020100300506032b657004220420" + hex.slice(2)).match(/../g) ?? [], (byte) =>
    Number.parseInt(byte, 16),
  );
  return crypto.subtle.importKey("pkcs8", bytes, "Ed25519", false, ["sign"]);
}

describe("signed requests", () => {
  const requests = vectors.requests.filter((vector) => vector.kind === "ed25519");

  it.each(requests.map((vector) => [vector.name, vector] as const))("%s", async (_name, vector) => {
    const request = {
      method: vector.method,
      target: vector.target,
      body: vector.body,
      nonce: vector.nonce,
      expiresMs: vector.expires_ms,
    };
    expect(await requestText(deployed, vector.key, request)).toBe(vector.text);
    expect(await signedHeaders(deployed, vector.key, await secretKey(vector.secret_key), request)).toEqual({
      "Exchange-Key": vector.key,
      "Exchange-Nonce": vector.nonce,
      "Exchange-Expires": vector.expires_ms,
      "Exchange-Signature": vector.signature,
    });
  });

  it("are made with keys whose secret can not be read", async () => {
    const { key, secret } = await newKey();
    expect(key).toMatch(/^0x[0-9a-f]{64}$/);
    expect(secret.extractable).toBe(false);
    await expect(crypto.subtle.exportKey("pkcs8", secret)).rejects.toThrow();
  });
});
