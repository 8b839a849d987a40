import { expect, test } from "vitest";

import { isSignInText } from "./sign-in-text";

const ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const SITE = { host: "localhost:8000", origin: "http://localhost:8000", chainId: 31337 };
const TEXT = `localhost:8000 wants you to sign in with your Ethereum account:
${ADDRESS}

Sign in to the exchange. This request moves no funds and costs nothing.

URI: http://localhost:8000
Version: 1
Chain ID: 31337
Nonce: abcdefghABCDEFGH12345678
Issued At: 2026-01-01T00:00:00Z
Expiration Time: 2026-01-01T00:05:00Z`;

test("the text of this site for this wallet is known", () => {
  expect(isSignInText(TEXT, ADDRESS, SITE)).toBe(true);
});

test("of another site, for another wallet, or another text, it is not", () => {
  expect(isSignInText(TEXT, ADDRESS, { ...SITE, host: "evil.example" })).toBe(false);
  expect(isSignInText(TEXT, ADDRESS.toLowerCase(), SITE)).toBe(false);
  expect(isSignInText("Send all my money", ADDRESS, SITE)).toBe(false);
  expect(isSignInText("", ADDRESS, SITE)).toBe(false);
  expect(isSignInText(TEXT.replace("Nonce", "Once"), ADDRESS, SITE)).toBe(false);
});

test.each([
  ["another address to come back to", TEXT.replace("URI: http://localhost:8000", "URI: https://evil.example")],
  ["another chain", TEXT.replace("Chain ID: 31337", "Chain ID: 1")],
  ["another version", TEXT.replace("Version: 1", "Version: 2")],
  ["a statement that says something else", TEXT.replace("moves no funds", "sells my house")],
  ["rights handed on as a resource", `${TEXT}\nResources:\n- urn:recap:eyJhdHQiOnt9fQ`],
  ["a line more", TEXT.replace("\nVersion", "\nNote: anything\nVersion")],
  ["a nonce that is hardly one", TEXT.replace("abcdefghABCDEFGH12345678", "abc")],
  ["a nonce of other characters", TEXT.replace("abcdefgh", "abc\u202eefgh")],
  ["no end", TEXT.replace(/\nExpiration.*/, "")],
  ["an end that is no time", TEXT.replace("00:05:00Z", "99:99:99Z")],
  ["a life of a year", TEXT.replace("Expiration Time: 2026", "Expiration Time: 2027")],
  ["an end before its beginning", TEXT.replace("Expiration Time: 2026", "Expiration Time: 2025")],
  ["a blank at the end", `${TEXT} `],
])("a text with %s is not signed unasked", (_, text) => {
  expect(text).not.toBe(TEXT);
  expect(isSignInText(text, ADDRESS, SITE)).toBe(false);
});
