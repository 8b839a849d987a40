import { describe, expect, test } from "vitest";

import { findCommands, fuzzyMatch } from "./command-search";
import type { Command } from "./commands";

function command(title: string, more: Partial<Command> = {}): Command {
  return { id: title, title, run: () => undefined, ...more };
}

const COMMANDS = [
  command("Go to trade"),
  command("Go to portfolio", { keywords: "profit balance" }),
  command("Go to funds", { keywords: "deposit withdraw" }),
  command("Cancel all orders"),
  command("Buy ETH"),
  command("Open market BTC-USDC", { group: "Markets" }),
  command("Open market ETH-USDC", { group: "Markets" }),
];

const titles = (query: string): string[] => findCommands(query, COMMANDS).map((found) => found.command.title);

describe("fuzzyMatch", () => {
  test("letters must be there in their order", () => {
    expect(fuzzyMatch("ao", "Cancel all orders")).not.toBeNull();
    expect(fuzzyMatch("oa", "Cancel all")).toBeNull();
    expect(fuzzyMatch("cancell", "Cancel")).toBeNull();
    expect(fuzzyMatch("ee", "e")).toBeNull();
  });

  test("says which letters, beginnings of words first", () => {
    expect(fuzzyMatch("cao", "Cancel all orders")?.at).toEqual([0, 7, 11]);
    expect(fuzzyMatch("eth", "Together ETH")?.at).toEqual([9, 10, 11]);
  });

  test("a run of letters is better than the same apart", () => {
    const run = fuzzyMatch("fun", "x funds")?.score ?? 0;
    const apart = fuzzyMatch("fun", "x f-u-n")?.score ?? 0;
    expect(run).toBeGreaterThan(fuzzyMatch("fun", "xfauane")?.score ?? 0);
    expect(apart).toBeGreaterThan(0);
  });

  test("case and spaces do not matter", () => {
    expect(fuzzyMatch("GO tR", "go to trade")).not.toBeNull();
    expect(fuzzyMatch("  ", "anything")).toEqual({ score: 0, at: [] });
  });
});

describe("findCommands", () => {
  test("all of them when nothing is asked for", () => {
    expect(titles("")).toEqual(COMMANDS.map((each) => each.title));
  });

  test("the best first", () => {
    expect(titles("cao")[0]).toBe("Cancel all orders");
    expect(titles("port")[0]).toBe("Go to portfolio");
    expect(titles("btc")[0]).toBe("Open market BTC-USDC");
    expect(titles("eth")).toEqual(["Buy ETH", "Open market ETH-USDC"]);
  });

  test("other words find it too, after what has them in its title", () => {
    expect(titles("deposit")).toEqual(["Go to funds"]);
    expect(titles("zzz")).toEqual([]);
  });
});
