// @vitest-environment jsdom
import { afterEach, describe, expect, test } from "vitest";

import { changeSettings, DEFAULTS, getSettings, onSettings, readSettings } from "./settings";

afterEach(() => changeSettings(DEFAULTS));

describe("settings that were kept", () => {
  test("nothing kept gives the defaults, and orders are asked about", () => {
    expect(readSettings(null)).toEqual(DEFAULTS);
    expect(DEFAULTS.confirmOrders).toBe(true);
  });

  test.each(["", "no json", "null", "7", '"dark"', "[]"])("%j gives the defaults", (kept) => {
    expect(readSettings(kept)).toEqual(DEFAULTS);
  });

  test("each is taken by itself; a strange one is as if never set", () => {
    expect(readSettings('{"theme": "light", "confirmOrders": "no", "other": 1}')).toEqual({ ...DEFAULTS, theme: "light" });
  });
});

describe("changing", () => {
  test("tells who listens, and is kept", () => {
    let told = 0;
    const stop = onSettings(() => told++);
    changeSettings({ confirmOrders: false });
    stop();
    changeSettings({ theme: "dark" });
    expect(told).toBe(1);
    expect(getSettings()).toEqual({ ...DEFAULTS, confirmOrders: false, theme: "dark" });
    expect(readSettings(localStorage.getItem("settings"))).toEqual(getSettings());
  });

  test("another tab's change is taken over", () => {
    localStorage.setItem("settings", '{"theme": "light"}');
    window.dispatchEvent(new StorageEvent("storage", { key: "settings" }));
    expect(getSettings().theme).toBe("light");
  });
});
