import { hashTypedData } from "viem";
import { describe, expect, it } from "vitest";

import vectors from "../../../tests/signing/vectors.json";
import type { Deployment } from "../api/deployment";
import { approvalOf, approvalTypedData, browserName } from "./approval";

const FIELDS = [
  { name: "account", type: "address" },
  { name: "key", type: "string" },
  { name: "name", type: "string" },
  { name: "scopes", type: "string[]" },
  { name: "markets", type: "string[]" },
  { name: "subAccounts", type: "uint8[]" },
  { name: "expires", type: "uint64" },
  { name: "ipRanges", type: "string[]" },
  { name: "nonce", type: "uint256" },
  { name: "deadline", type: "uint256" },
];

function deployment(fields = FIELDS): Deployment {
  return {
    chain_id: vectors.chain_id,
    vault: vectors.vault,
    genesis_id: vectors.genesis_id,
    agent_approval_typed_data: {
      domain: { name: "Something else" },
      primary_type: "AgentApproval",
      types: { AgentApproval: fields },
    },
  } as unknown as Deployment;
}

describe("an approval", () => {
  it.each(vectors.approvals.map((vector) => [vector.name, vector] as const))("is signed as %s", (_name, vector) => {
    const approval = vector.message;
    const typed = approvalTypedData(deployment(), approval.account, {
      key: approval.key,
      name: approval.name,
      scopes: approval.scopes,
      markets: approval.markets,
      sub_accounts: approval.subAccounts,
      expires_at_s: approval.expires,
      ip_ranges: approval.ipRanges,
      nonce: String(approval.nonce),
      deadline_s: approval.deadline,
    });
    expect(hashTypedData(typed)).toBe(vector.digest);
  });

  it("reads and trades everywhere for 30 days, and is to be handed in within the hour", () => {
    const nowMs = 1_763_841_600_123;
    expect(approvalOf("0xkey", "Chrome on Linux", nowMs)).toEqual({
      key: "0xkey",
      name: "Chrome on Linux",
      scopes: ["read", "trade"],
      markets: [],
      sub_accounts: [],
      expires_at_s: 1_763_841_600 + 30 * 86_400,
      ip_ranges: [],
      nonce: "1763841600123",
      deadline_s: 1_763_841_600 + 1_800,
    });
  });

  it("is not made of a form that this page does not know", () => {
    const approval = approvalOf("0xkey", "x", 1);
    const stranger = deployment([...FIELDS, { name: "mayWithdraw", type: "bool" }]);
    expect(() => approvalTypedData(stranger, "0x00", approval)).toThrow("Nothing was signed");
  });
});

describe("a browser", () => {
  it("is called what people call it", () => {
    expect(browserName("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/156.0 Safari/537.36")).toBe(
      "Chrome on Linux",
    );
    expect(browserName("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1")).toBe(
      "Safari on iOS",
    );
    expect(browserName("Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/145.0")).toBe("Firefox on Windows");
    expect(browserName("curl")).toBe("Browser on another system");
  });
});
