/** Permits (ERC-2612): the leave to take a token, signed instead of sent, so that it costs nothing. */

import { type Address, domainSeparator, type Hex, type PublicClient, type TypedDataDefinition } from "viem";

import { TOKEN_ABI } from "./vault-abi";

const PERMIT_LIFE_S = 3_600;

const PERMIT_TYPES = {
  Permit: [
    { name: "owner", type: "address" },
    { name: "spender", type: "address" },
    { name: "value", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
} as const;

export interface PermitDomain {
  name: string;
  version: string;
  chainId: number;
  verifyingContract: Address;
}

/**
 * The domain that a token signs permits in, found by the separator that it names itself; null when it is none
 * of the usual ones. Then a signed permit would be worth nothing, and the token has to be approved instead.
 */
export function findDomain(name: string, versions: string[], chainId: number, token: Address, separator: Hex): PermitDomain | null {
  for (const version of new Set([...versions, "1", "2"])) {
    const domain = { name, version, chainId, verifyingContract: token };
    if (domainSeparator({ domain }).toLowerCase() === separator.toLowerCase()) return domain;
  }
  return null;
}

/** What is to be signed for a permit of exactly this amount; null where the token knows no permits. */
export async function permitFor(
  client: PublicClient,
  token: Address,
  owner: Address,
  spender: Address,
  atoms: bigint,
  nowS: number,
): Promise<{ data: TypedDataDefinition; deadline: bigint } | null> {
  const at = { address: token, abi: TOKEN_ABI } as const;
  let found: [Hex, bigint, string];
  try {
    found = await Promise.all([
      client.readContract({ ...at, functionName: "DOMAIN_SEPARATOR" }),
      client.readContract({ ...at, functionName: "nonces", args: [owner] }),
      client.readContract({ ...at, functionName: "name" }),
    ]);
  } catch {
    return null; // ERC-2612 is optional
  }
  const [separator, nonce, name] = found;
  const version = await client.readContract({ ...at, functionName: "version" }).catch(() => null);
  const domain = findDomain(name, version === null ? [] : [version], await client.getChainId(), token, separator);
  if (domain === null) return null;
  const deadline = BigInt(nowS + PERMIT_LIFE_S);
  const message = { owner, spender, value: atoms, nonce, deadline };
  return { data: { domain, types: PERMIT_TYPES, primaryType: "Permit", message } as TypedDataDefinition, deadline };
}
