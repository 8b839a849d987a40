import { expect, test } from "vitest";

import { wordsAsked } from "./backup-check";

test("three different places are asked for, in order, and every place can be", () => {
  const seen = new Set<number>();
  for (let time = 0; time < 200; time++) {
    const asked = wordsAsked("a b c d e f g h i j k l");
    expect(asked).toHaveLength(3);
    expect(new Set(asked).size).toBe(3);
    expect(asked).toEqual([...asked].sort((one, other) => one - other));
    asked.forEach((place) => seen.add(place));
  }
  expect(seen.size).toBe(12);
});
