import { describe, expect, it } from "vitest";

import { type Listed, merged, told } from "./merged";

interface Item {
  id: string;
  at: number;
  done: boolean;
}

const LISTED: Listed<Item> = { key: (item) => item.id, timeMs: (item) => item.at, isFinal: (item) => item.done };
const item = (id: string, at: number, done: boolean): Item => ({ id, at, done });
const ids = (items: Item[]): string => items.map((each) => `${each.id}${each.done ? "!" : ""}`).join(" ");

describe("a history and what the stream told since", () => {
  it("is the history until the stream has spoken", () => {
    expect(ids(merged([item("b", 2, false), item("a", 1, true)], null, LISTED, false))).toBe("b a!");
  });

  it("has the newer state of what is in both, and never goes back from an end", () => {
    const live = told(null, "snapshot", [item("a", 1, true), item("b", 2, false)], LISTED);
    expect(ids(merged([item("a", 1, false), item("b", 2, true)], live, LISTED, false))).toBe("b! a!");
  });

  it("drops what was on its way and is no more, where that can be", () => {
    const live = told(null, "snapshot", [], LISTED);
    expect(ids(merged([item("a", 1, false), item("b", 2, true)], live, LISTED, false))).toBe("b!");
    expect(ids(merged([item("a", 1, false)], live, LISTED, true))).toBe("a");
  });

  it("takes updates in, and begins anew with a snapshot", () => {
    const first = told(null, "snapshot", [item("a", 1, false)], LISTED);
    const second = told(first, "update", [item("a", 1, true), item("b", 2, false)], LISTED);
    expect(ids(merged([], second, LISTED, false))).toBe("b a!");
    expect(ids(merged([], told(second, "snapshot", [item("c", 3, false)], LISTED), LISTED, false))).toBe("c");
  });
});
