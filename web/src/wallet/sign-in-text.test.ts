import { expect, test } from "vitest";

import { isSignInText } from "./sign-in-text";

const ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const TEXT = `localhost:8000 wants you to sign in with your Ethereum account:
${ADDRESS}

Sign in to the exchange.

URI: http://localhost:8000
Version: 1
Chain ID: 31337
Nonce: abcdefgh
Issued At: 2026-01-01T00:00:00Z`;

test("the text of this site for this wallet is known", () => {
  expect(isSignInText(TEXT, ADDRESS, "localhost:8000")).toBe(true);
});

test("of another site, for another wallet, or another text, it is not", () => {
  expect(isSignInText(TEXT, ADDRESS, "evil.example")).toBe(false);
  expect(isSignInText(TEXT, ADDRESS.toLowerCase(), "localhost:8000")).toBe(false);
  expect(isSignInText("Send all my money", ADDRESS, "localhost:8000")).toBe(false);
  expect(isSignInText(TEXT.replace("Nonce", "Once"), ADDRESS, "localhost:8000")).toBe(false);
});
