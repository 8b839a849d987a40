import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { dismissToast, holdToasts, toast, toastStore } from "./toast";

const titles = (): string[] => toastStore.get().map((shown) => shown.title);

describe("toasts", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    toastStore.get().forEach((shown) => dismissToast(shown.id));
    vi.useRealTimers();
  });

  test("go away by themselves, errors later than the rest", () => {
    toast("ok", "Order placed");
    toast("error", "Not enough USDC");
    vi.advanceTimersByTime(6_000);
    expect(titles()).toEqual(["Not enough USDC"]);
    vi.advanceTimersByTime(7_000);
    expect(titles()).toEqual([]);
  });

  test("the same again counts up and stays longer", () => {
    const first = toast("ok", "Filled", "0.5 ETH");
    vi.advanceTimersByTime(4_000);
    expect(toast("ok", "Filled", "0.5 ETH")).toBe(first);
    vi.advanceTimersByTime(4_000);
    expect(toastStore.get().map((shown) => shown.times)).toEqual([2]);
  });

  test("there are never more than four, the oldest goes first", () => {
    ["a", "b", "c", "d", "e"].forEach((title) => toast("info", title));
    expect(titles()).toEqual(["b", "c", "d", "e"]);
  });

  test("they wait while they are read", () => {
    toast("ok", "Read me");
    holdToasts(true);
    vi.advanceTimersByTime(60_000);
    expect(titles()).toEqual(["Read me"]);
    holdToasts(false);
    vi.advanceTimersByTime(6_000);
    expect(titles()).toEqual([]);
  });

  test("listeners hear of each change until they stop", () => {
    const listener = vi.fn();
    const stop = toastStore.subscribe(listener);
    dismissToast(toast("ok", "Here"));
    stop();
    toast("ok", "Unheard");
    expect(listener).toHaveBeenCalledTimes(2);
  });
});
