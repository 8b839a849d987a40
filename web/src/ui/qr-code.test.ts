import { describe, expect, test } from "vitest";
import { encode } from "uqr";

import { pathOf } from "./qr-code";

/** The modules that a path of rectangles covers, as rows of the code. */
function drawn(path: string, size: number): boolean[][] {
  const rows = Array.from({ length: size }, () => Array.from({ length: size }, () => false));
  for (const [, x, y, width] of path.matchAll(/M(\d+) (\d+)h(\d+)v1H\d+z/g)) {
    rows[Number(y)]?.fill(true, Number(x), Number(x) + Number(width));
  }
  return rows;
}

describe("the path of a QR code", () => {
  test("is one rectangle for each run", () => {
    expect(pathOf([[true, true, false, true], [], [false, false, false, true]])).toBe("M0 0h2v1H0zM3 0h1v1H3zM3 2h1v1H3z");
  });

  test("covers the dark modules and nothing else", () => {
    const code = encode("0x1234567890abcdef1234567890abcdef12345678", { ecc: "M", border: 2 });
    expect(drawn(pathOf(code.data), code.size)).toEqual(code.data);
  });
});
