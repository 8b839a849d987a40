import "fake-indexeddb/auto";

import { describe, expect, it } from "vitest";

import { deleteKey, nextNonce, readKey, readKeysOf, slot, writeKey } from "./key-store";
import { newKey } from "./signing";

describe("keys of this browser", () => {
  it("are kept for each exchange and owner", async () => {
    const { key } = await newKey();
    const at = slot("0x5f", "0xAbC");
    expect(at).toBe(slot("0x5f", "0xaBc"));
    expect(await readKey(at)).toBeNull();
    const secret = {} as CryptoKey; // Node's own can not be cloned by the imitation of IndexedDB
    const kept = { slot: at, key, secret, name: "Chrome on Linux", expiresMs: 1, state: "active" } as const;
    await writeKey(kept);
    expect(await readKey(at)).toMatchObject({ key, state: "active" });
    await writeKey({ ...kept, state: "revoked" });
    expect(await readKey(at)).toMatchObject({ state: "revoked" });
    await writeKey({ ...kept, slot: slot("0x60", "0xabc") });
    await writeKey({ ...kept, slot: slot("0x5f", "0xabd") });
    expect((await readKeysOf("0xABC")).map((each) => each.slot)).toEqual([at, "0x60:0xabc"]);
    await deleteKey(at);
    expect(await readKey(at)).toBeNull();
  });
});

describe("nonces", () => {
  it("are the time in microseconds, and never the same twice, however many ask at once", async () => {
    const nowMs = 1_763_841_600_000;
    const nonces = await Promise.all(Array.from({ length: 50 }, () => nextNonce("0xkey", nowMs)));
    expect(nonces[0]).toBe("1763841600000000");
    expect(new Set(nonces).size).toBe(50);
    expect(nonces).toEqual([...nonces].sort());
    expect(await nextNonce("0xkey", nowMs + 1)).toBe("1763841600001000");
  });

  it("are not bound to those of a clock that was wrong", async () => {
    const nowMs = 1_763_841_600_000;
    await nextNonce("0xahead", nowMs + 3_600_000);
    expect(await nextNonce("0xahead", nowMs)).toBe("1763841600000000");
    expect(await nextNonce("0xahead", nowMs)).toBe("1763841600000001");
  });

  it("go on upwards when the clock is set back, and are each key's own", async () => {
    const first = await nextNonce("0xother", 2_000);
    expect(await nextNonce("0xother", 1_000)).toBe(String(BigInt(first) + 1n));
    expect(await nextNonce("0xthird", 1_000)).toBe("1000000");
  });
});
