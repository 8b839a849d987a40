import { expect, test } from "vitest";

import { afterFee } from "./amount";

test("what arrives is the amount less the fee, and never less than nothing", () => {
  expect(afterFee("2.5", "0.015")).toBe("2.485");
  expect(afterFee("2.50", "0")).toBe("2.5");
  expect(afterFee("0.4", "0.4")).toBe("0");
  expect(afterFee("0.4", "0.5")).toBe("0");
});
