/** What the owner's wallet signs, so that a key of this browser may trade for it: EIP-712, see docs/api/signing.md. */

import type { Address, Hex, TypedDataDefinition } from "viem";

import type { Schemas } from "../api/client";
import type { Deployment } from "../api/deployment";
import type { Purpose } from "../wallet/signer";

const LIFE_S = 30 * 24 * 3_600;
const HAND_IN_S = 30 * 60;

/** The fields as they must be: whatever else the server names is not signed. */
const FIELDS = [
  "address account",
  "string key",
  "string name",
  "string[] scopes",
  "string[] markets",
  "uint8[] subAccounts",
  "uint64 expires",
  "string[] ipRanges",
  "uint256 nonce",
  "uint256 deadline",
].join(", ");

export type Approval = Omit<Schemas["AgentRequest"], "signature">;

/** May read and trade, everywhere, for 30 days. */
export function approvalOf(key: string, name: string, nowMs: number): Approval {
  const nowS = Math.floor(nowMs / 1_000);
  return {
    key,
    name,
    scopes: ["read", "trade"],
    markets: [],
    sub_accounts: [],
    expires_at_s: nowS + LIFE_S,
    ip_ranges: [],
    nonce: String(nowMs),
    deadline_s: nowS + HAND_IN_S,
  };
}

interface ServersTypedData {
  primary_type: string;
  types: Record<string, { name: string; type: string }[]>;
}

/** The message for the wallet. Throws when the server's form of it is not the one known here. */
export function approvalTypedData(deployment: Deployment, owner: string, approval: Approval): TypedDataDefinition {
  const form = deployment.agent_approval_typed_data as unknown as ServersTypedData;
  const fields = form.types["AgentApproval"];
  const written = fields?.map(({ type, name }) => `${type} ${name}`).join(", ");
  if (form.primary_type !== "AgentApproval" || fields === undefined || written !== FIELDS) {
    throw new Error("The exchange asks for an approval that this page does not know. Nothing was signed.");
  }
  return {
    domain: {
      name: "Exchange",
      version: "1",
      chainId: deployment.chain_id,
      verifyingContract: deployment.vault as Address,
      salt: deployment.genesis_id as Hex,
    },
    types: { AgentApproval: fields },
    primaryType: "AgentApproval",
    message: {
      account: owner as Address,
      key: approval.key,
      name: approval.name,
      scopes: approval.scopes,
      markets: approval.markets,
      subAccounts: approval.sub_accounts,
      expires: BigInt(approval.expires_at_s),
      ipRanges: approval.ip_ranges,
      nonce: BigInt(approval.nonce),
      deadline: BigInt(approval.deadline_s),
    },
  } as unknown as TypedDataDefinition;
}

export function approvalRequest(approval: Approval, signature: Hex): Schemas["AgentRequest"] {
  return { ...approval, signature };
}

/** In words, for whoever is to sign. */
export function approvalPurpose(approval: Approval): Purpose {
  const until = new Date(approval.expires_at_s * 1_000);
  return {
    title: "Let this browser trade for you",
    lines: [
      { label: "What it may do", value: "Place, change and cancel orders, and see your account" },
      { label: "What it can not do", value: "Withdraw, transfer, or approve other keys" },
      { label: "Markets", value: "All" },
      { label: "Accounts", value: "All of yours" },
      { label: "Until", value: until.toLocaleDateString(undefined, { dateStyle: "long" }) },
      { label: "Key", value: approval.name },
    ],
  };
}

const BROWSERS: readonly [RegExp, string][] = [
  [/Edg\//, "Edge"],
  [/OPR\//, "Opera"],
  [/Firefox\//, "Firefox"],
  [/Chrome\//, "Chrome"],
  [/Safari\//, "Safari"],
];
const SYSTEMS: readonly [RegExp, string][] = [
  [/Android/, "Android"],
  [/iPhone|iPad/, "iOS"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "macOS"],
  [/Linux/, "Linux"],
];

/** What people call this browser, such as "Firefox on Linux". */
export function browserName(userAgent: string): string {
  const named = (all: readonly [RegExp, string][]) => all.find(([pattern]) => pattern.test(userAgent))?.[1];
  return `${named(BROWSERS) ?? "Browser"} on ${named(SYSTEMS) ?? "another system"}`;
}
