import { describe, expect, it } from "vitest";

import { stateOf, StatusStore, type StreamStatus } from "./status";

const OPEN = { isOpen: true, failures: 0, silentMs: 0, hasNetwork: true };

describe("the state of the stream", () => {
  it("is live as long as heartbeats come, then stale", () => {
    expect(stateOf(OPEN)).toBe("live");
    expect(stateOf({ ...OPEN, silentMs: 6_000 })).toBe("live");
    expect(stateOf({ ...OPEN, silentMs: 8_000 })).toBe("stale");
  });

  it("without a connection is connecting, and offline when that fails again or there is no network", () => {
    const closed = { ...OPEN, isOpen: false };
    expect(stateOf(closed)).toBe("connecting");
    expect(stateOf({ ...closed, failures: 2 })).toBe("offline");
    expect(stateOf({ ...closed, hasNetwork: false })).toBe("offline");
  });

  it("is told when it changes, and only then", () => {
    const store = new StatusStore();
    let told = 0;
    store.subscribe(() => (told += 1));
    const status: StreamStatus = { state: "live", latencyMs: 3, lastMessageMs: 1, seq: 2, owner: null, isRefused: false };
    store.set(status);
    store.set({ ...status });
    expect(told).toBe(1);
    expect(store.get()).toBe(status);
  });
});
