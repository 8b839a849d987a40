import type { TypedDataDefinition } from "viem";
import { expect, test } from "vitest";

import { domainRows, isForChain, messageRows, visible } from "./typed-data";

const DATA = {
  domain: { name: "Vault", chainId: 31337n, verifyingContract: "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266" },
  primaryType: "Order",
  types: {
    Order: [
      { name: "to", type: "Person" },
      { name: "amounts", type: "uint256[]" },
      { name: "note", type: "string" },
      { name: "open", type: "bool" },
      { name: "none", type: "Person[]" },
    ],
    Person: [{ name: "wallet", type: "address" }],
  },
  message: {
    to: { wallet: "0x70997970c51812dc3a010c7d01b50e0d17dc79c8" },
    amounts: [1n, 2n ** 200n],
    note: "pay\u202eevil",
    open: false,
    none: [],
    unsigned: "not in the types",
  },
} as unknown as TypedDataDefinition;

test("every signed field is a row, nested ones below their heading", () => {
  expect(messageRows(DATA).map(({ label, value, depth }) => [depth, label, value])).toEqual([
    [0, "to", null],
    [1, "wallet", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"],
    [0, "amounts", null],
    [1, "1", "1"],
    [1, "2", (2n ** 200n).toString()],
    [0, "note", "pay\\u{202e}evil"],
    [0, "open", "false"],
    [0, "none", "(empty list)"],
  ]);
});

test("the domain is shown as far as it is given", () => {
  expect(domainRows(DATA).map((row) => row.label)).toEqual(["name", "chainId", "verifyingContract"]);
});

test("only what names the exchange's chain is for it", () => {
  const of = (domain: object): TypedDataDefinition => ({ ...DATA, domain }) as TypedDataDefinition;
  expect(isForChain(DATA, 31337)).toBe(true);
  expect(isForChain(of({ chainId: 31337 }), 31337)).toBe(true);
  expect(isForChain(of({ chainId: "31337" }), 31337)).toBe(true);
  expect(isForChain(DATA, 1)).toBe(false);
  expect(isForChain(of({}), 31337)).toBe(false);
  expect(isForChain(of({ chainId: null }), 31337)).toBe(false);
  expect(isForChain(of({ chainId: "0x7a6a" }), 31337)).toBe(false);
  expect(isForChain({ ...DATA, domain: undefined } as TypedDataDefinition, 31337)).toBe(false);
});

test("characters that hide are made visible", () => {
  expect(visible("a\u200bb\n")).toBe("a\\u{200b}b\\u{a}");
});
