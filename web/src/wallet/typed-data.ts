/** Every field of typed data as it is hashed, for reading: what is not in the types is not signed, so not shown. */

import { getAddress, isAddress, type TypedDataDefinition } from "viem";

export interface DataRow {
  readonly label: string;
  /** Null: a heading for the rows below that are deeper. */
  readonly value: string | null;
  readonly depth: number;
}

interface TypeField {
  name: string;
  type: string;
}
type Types = Record<string, readonly TypeField[] | undefined>;

const MAX_DEPTH = 8;
const DOMAIN_FIELDS: readonly TypeField[] = [
  { name: "name", type: "string" },
  { name: "version", type: "string" },
  { name: "chainId", type: "uint256" },
  { name: "verifyingContract", type: "address" },
  { name: "salt", type: "bytes32" },
];

/** Whether it holds on this chain and nowhere else: without a chain in its domain it would hold on all of them. */
export function isForChain(data: TypedDataDefinition, chainId: number): boolean {
  const given = (data as { domain?: { chainId?: unknown } }).domain?.chainId;
  if (typeof given !== "number" && typeof given !== "bigint" && typeof given !== "string") return false;
  return String(given) === String(chainId);
}

export function messageRows(data: TypedDataDefinition): DataRow[] {
  const { types, primaryType, message } = data as unknown as { types: Types; primaryType: string; message: unknown };
  return structRows(types, types[primaryType] ?? [], message, 0);
}

export function domainRows(data: TypedDataDefinition): DataRow[] {
  const domain = ((data as { domain?: unknown }).domain ?? {}) as Record<string, unknown>;
  const given = DOMAIN_FIELDS.filter(({ name }) => domain[name] !== undefined && domain[name] !== null);
  return structRows({}, given, domain, 0);
}

function structRows(types: Types, fields: readonly TypeField[], value: unknown, depth: number): DataRow[] {
  const struct = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
  return fields.flatMap(({ name, type }) => valueRows(types, name, type, struct[name], depth));
}

function valueRows(types: Types, label: string, type: string, value: unknown, depth: number): DataRow[] {
  if (depth > MAX_DEPTH) throw new RangeError("typed data too deep to be shown");
  const item = /^(.*)\[\d*\]$/.exec(type)?.[1];
  if (item !== undefined) {
    const items: readonly unknown[] = Array.isArray(value) ? value : [];
    if (items.length === 0) return [{ label, value: "(empty list)", depth }];
    const rows = items.flatMap((each, i) => valueRows(types, String(i + 1), item, each, depth + 1));
    return [{ label, value: null, depth }, ...rows];
  }
  const fields = types[type];
  if (fields !== undefined) return [{ label, value: null, depth }, ...structRows(types, fields, value, depth + 1)];
  return [{ label, value: plainText(type, value), depth }];
}

function plainText(type: string, value: unknown): string {
  if (value === undefined || value === null) return "(nothing)";
  if (type === "address" && typeof value === "string" && isAddress(value, { strict: false })) return getAddress(value);
  if (type === "string") return visible(String(value));
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Characters that turn or hide text would let one value look like another. */
export function visible(text: string): string {
  if (text === "") return "(empty)";
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ""}}`);
}
