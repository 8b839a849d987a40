import { afterEach, expect, it, vi } from "vitest";

import { termsFromNow } from "./signing-terms";

afterEach(() => vi.unstubAllGlobals());

it("are the exchange's time, whatever this device's clock says", async () => {
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ time_ms: 1_000_000_000_999 }), { status: 200 }));
  expect(await termsFromNow(900)).toEqual({ nonce: 1_000_000_000_999n, deadlineS: 1_000_000_900 });
});
