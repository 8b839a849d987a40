import { expect, it } from "vitest";

import { cleanName, newPasskeyName } from "./passkey-name";

const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

it("a passkey is called after its browser, and two of them are told apart", () => {
  expect(newPasskeyName([], FIREFOX)).toBe("Firefox on Linux");
  expect(newPasskeyName(["Passkey"], FIREFOX)).toBe("Firefox on Linux");
  expect(newPasskeyName(["Firefox on Linux"], FIREFOX)).toBe("Firefox on Linux (2)");
  expect(newPasskeyName(["Firefox on Linux", "Firefox on Linux (2)"], FIREFOX)).toBe("Firefox on Linux (3)");
});

it("a name is what can be seen of it, and not endless", () => {
  expect(cleanName("  the   blue\tkey ")).toBe("the blue key");
  expect(cleanName(" \u200b\u202e ")).toBeNull();
  expect(cleanName("x".repeat(60))).toHaveLength(40);
});
