import { domainSeparator } from "viem";
import { describe, expect, it } from "vitest";

import { findDomain } from "./permit";

const TOKEN = "0xCABEe62adFB2a4d4172Fc2F7536f324FC52C274a";

describe("the domain of a token's permits", () => {
  it("is found by the separator that the token names", () => {
    for (const version of ["1", "2", "v3"]) {
      const domain = { name: "USDC", version, chainId: 31337, verifyingContract: TOKEN } as const;
      expect(findDomain("USDC", ["v3"], 31337, TOKEN, domainSeparator({ domain }))).toEqual(domain);
    }
  });

  it("is not known where the token has rules of its own: then it has to be approved", () => {
    expect(findDomain("DAI", [], 31337, TOKEN, `0x${"00".repeat(32)}`)).toBeNull();
    const elsewhere = domainSeparator({ domain: { name: "USDC", version: "1", chainId: 1, verifyingContract: TOKEN } });
    expect(findDomain("USDC", [], 31337, TOKEN, elsewhere)).toBeNull();
  });
});
