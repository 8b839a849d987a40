import { expect, test } from "vitest";

import { isAcceptable, strengthOf } from "./password-strength";

test.each([
  ["", "none", false],
  ["short", "short", false],
  ["aaaaaaaaaaaaaaaaaaaa", "simple", false],
  ["eleven char", "fair", true],
  ["four unrelated words here", "good", true],
] as const)("%s is %s", (password, level, acceptable) => {
  expect(strengthOf(password).level).toBe(level);
  expect(isAcceptable(password)).toBe(acceptable);
});

test("what is missing is counted as people see characters", () => {
  expect(strengthOf("😀😀😀😀😀😀😀😀😀").text).toBe("1 more character");
});
