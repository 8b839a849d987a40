/**
 * Signed requests, WebSocket logins and approvals of agents, written from docs/api/signing.md alone: nothing here knows
 * the server's code. Ed25519 is Node's own, secp256k1 and EIP-712 are viem's.
 */

import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";

import { hashTypedData, recoverMessageAddress, recoverTypedDataAddress } from "viem";
import type { Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";

export interface Deployment {
  genesis_id: string;
  host: string;
}

export interface Request {
  key: string;
  method: string;
  target: string;
  body: string;
  nonce: string;
  expires_ms: string;
}

export interface WebSocketLogin {
  key: string;
  challenge: string;
  expires_ms: string;
}

export interface Approval {
  account: Hex;
  key: string;
  name: string;
  scopes: string[];
  markets: string[];
  subAccounts: number[];
  expires: number;
  ipRanges: string[];
  nonce: string;
  deadline: number;
}

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;
const PUBLIC_PREFIX = Buffer.from("302a300506032b6570032100", "hex"); // SubjectPublicKeyInfo of Ed25519, RFC 8410
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex"); // PKCS #8, RFC 8410

const APPROVAL_TYPES = {
  AgentApproval: [
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
  ],
} as const;

export function requestText(deployment: Deployment, request: Request): string {
  const bodyHash = createHash("sha256").update(request.body, "utf8").digest("hex");
  return [
    "exchange-request-1",
    deployment.genesis_id,
    deployment.host,
    request.key,
    request.method,
    request.target,
    bodyHash,
    request.nonce,
    request.expires_ms,
  ].join("\n");
}

export function webSocketText(deployment: Deployment, login: WebSocketLogin): string {
  return [
    "exchange-websocket-1",
    deployment.genesis_id,
    deployment.host,
    login.key,
    login.challenge,
    login.expires_ms,
  ].join("\n");
}

export function isEd25519(key: string): boolean {
  return key.length === 2 + 64;
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex.slice(2), "hex");
}

function publicKey(key: string): KeyObject {
  return createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, bytes(key)]), format: "der", type: "spki" });
}

export async function signed(text: string, key: string, secret: Hex): Promise<string> {
  if (!isEd25519(key)) {
    return privateKeyToAccount(secret).signMessage({ message: text });
  }
  const der = Buffer.concat([PRIVATE_PREFIX, bytes(secret)]);
  const signature = sign(null, Buffer.from(text, "utf8"), createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
  return "0x" + signature.toString("hex");
}

export async function isSignedBy(text: string, key: string, signature: string): Promise<boolean> {
  if (isEd25519(key)) {
    return verify(null, Buffer.from(text, "utf8"), publicKey(key), bytes(signature));
  }
  if (!isCanonical(signature)) {
    return false;
  }
  const signer = await recoverMessageAddress({ message: text, signature: signature as Hex });
  return signer.toLowerCase() === key;
}

/** 65 bytes, s in its lower half, v of 27 or 28. */
function isCanonical(signature: string): boolean {
  const raw = bytes(signature);
  return raw.length === 65 && BigInt("0x" + raw.toString("hex", 32, 64)) <= HALF_ORDER && [27, 28].includes(raw[64]!);
}

export function approvalTypedData(
  deployment: Deployment & { chain_id: number; vault: string },
  approval: Approval,
) {
  return {
    domain: {
      name: "Exchange",
      version: "1",
      chainId: deployment.chain_id,
      verifyingContract: deployment.vault as Hex,
      salt: deployment.genesis_id as Hex,
    },
    types: APPROVAL_TYPES,
    primaryType: "AgentApproval",
    message: {
      ...approval,
      expires: BigInt(approval.expires),
      nonce: BigInt(approval.nonce),
      deadline: BigInt(approval.deadline),
    },
  } as const;
}

export function approvalDigest(
  deployment: Deployment & { chain_id: number; vault: string },
  approval: Approval,
): string {
  return hashTypedData(approvalTypedData(deployment, approval));
}

export async function approvalSigner(
  deployment: Deployment & { chain_id: number; vault: string },
  approval: Approval,
  signature: string,
): Promise<string> {
  const typed = approvalTypedData(deployment, approval);
  return (await recoverTypedDataAddress({ ...typed, signature: signature as Hex })).toLowerCase();
}
