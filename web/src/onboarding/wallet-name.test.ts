import { expect, test } from "vitest";

import { newWalletName } from "./wallet-name";

test("no two wallets of a browser are called the same unless somebody wants it", () => {
  expect(newWalletName([])).toBe("My wallet");
  expect(newWalletName(["Savings", "My wallet"])).toBe("My wallet 2");
  expect(newWalletName(["My wallet 2", "My wallet"])).toBe("My wallet 3");
  expect(newWalletName(["My wallet 2"])).toBe("My wallet");
});
