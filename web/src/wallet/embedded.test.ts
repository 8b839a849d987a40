// @vitest-environment jsdom
import { recoverMessageAddress } from "viem";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { entropyOf } from "../vault/phrase";
import { Opened } from "../vault/secret";
import { EmbeddedSigner } from "./embedded";
import { ask, pendingNow } from "./requests";
import { SignatureRefused } from "./signer";

const ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const TEXT = `${location.host} wants you to sign in with your Ethereum account:
${ADDRESS}

Sign in to the exchange. This request moves no funds and costs nothing.

URI: ${location.origin}
Version: 1
Chain ID: 31337
Nonce: abcdefgh
Issued At: 2026-01-01T00:00:00Z
Expiration Time: 2026-01-01T00:05:00Z`;

let opened: Opened;
let signer: EmbeddedSigner;

beforeEach(() => {
  const phrase = "test test test test test test test test test test test junk";
  opened = new Opened(ADDRESS, { kind: "phrase", bytes: entropyOf(phrase) });
  signer = new EmbeddedSigner({ name: "Main", address: ADDRESS });
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ chain_id: 31337 }), { status: 200 }));
});
afterEach(() => vi.unstubAllGlobals());

test("right after an unlock the sign-in text is signed without a question, and the key is gone then", async () => {
  const signature = await signer.justUnlocked(opened, () => signer.signMessage(TEXT));
  expect(await recoverMessageAddress({ message: TEXT, signature })).toBe(ADDRESS);
  expect(() => opened.phrase()).toThrow("locked");
});

test("only once, and no other text", async () => {
  const work = signer.justUnlocked(opened, async () => {
    await signer.signMessage(TEXT);
    await signer.signMessage(TEXT);
  });
  await refusing("message");
  await expect(work).rejects.toThrow(SignatureRefused);

  const other = signer.justUnlocked(opened, () => signer.signMessage(TEXT.replace(location.host, "evil.example")));
  await refusing("message");
  await expect(other).rejects.toThrow(SignatureRefused);
});

test("typed data and transactions always ask, also right after an unlock", async () => {
  const purpose = { title: "Send", lines: [] };
  const sending = signer.justUnlocked(opened, () => signer.sendTransaction({ to: ADDRESS, value: 1n }, purpose));
  await refusing("transaction");
  await expect(sending).rejects.toThrow(SignatureRefused);
});

test("questions come one after the other, and one that is taken back leaves", async () => {
  const back = new AbortController();
  const first = ask<"start">({ kind: "start" }, back.signal);
  const second = ask<"backup">({ kind: "backup", address: ADDRESS });
  expect(pendingNow()?.request.kind).toBe("start");
  back.abort();
  await expect(first).rejects.toThrow(SignatureRefused);
  expect(pendingNow()?.request.kind).toBe("backup");
  pendingNow()?.answer(undefined as never);
  await second;
  expect(pendingNow()).toBeNull();
});

/** Says no to the question that comes. */
async function refusing(kind: string): Promise<void> {
  for (let turn = 0; turn < 1000 && pendingNow() === null; turn++) await new Promise((resolve) => setTimeout(resolve));
  expect(pendingNow()?.request.kind).toBe(kind);
  pendingNow()?.refuse();
}
