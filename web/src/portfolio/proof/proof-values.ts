/** Reading a proof: nothing in it is believed. Mirrors the first part of scripts/verify_balance.py. */

import { type Hex, hexToBytes } from "viem";

export const FORMAT = "exchange-balance-proof-1";
export const MAX_SUM = 2n ** 128n - 1n;

/** The proof does not prove what it says. */
export class Wrong extends Error {}

const NUMBER = /^(?:0|[1-9][0-9]{0,77})$/;
const HEX = /^0x(?:[0-9a-fA-F]{2})*$/;
const PLAIN = /^[ -~]{1,80}$/;

type Unknown = Record<string, unknown>;

/** A member, if it is one of an object's own. */
export function member(of: unknown, name: string): unknown {
  if (typeof of !== "object" || of === null || Array.isArray(of) || !Object.hasOwn(of, name)) throw missing(name);
  return (of as Unknown)[name];
}

function missing(name: string): Wrong {
  return new Wrong(`the proof has no proper '${name}'`);
}

export function listed(of: unknown, name: string): unknown[] {
  const value = member(of, name);
  if (!Array.isArray(value)) throw missing(name);
  return value;
}

export function text(of: unknown, name: string): string {
  const value = member(of, name);
  if (typeof value !== "string") throw missing(name);
  if (!PLAIN.test(value)) throw new Wrong(`'${name}' is not a short plain text`);
  return value;
}

/** A number from 0 to `most`; what a browser's numbers do not hold exactly is refused. */
export function whole(of: unknown, name: string, most: number = Number.MAX_SAFE_INTEGER): number {
  const value = member(of, name);
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw missing(name);
  if (value < 0 || value > most) throw new Wrong(`'${name}' is out of range`);
  return value;
}

/** An amount in smallest units. Only two fields have a sign: negative sums would forge a total. */
export function atoms(of: unknown, name: string, signed = false): bigint {
  const value = member(of, name);
  if (typeof value !== "string") throw missing(name);
  const negative = signed && value.startsWith("-");
  const digits = negative ? value.slice(1) : value;
  if (!NUMBER.test(digits) || BigInt(digits) > MAX_SUM) {
    throw new Wrong(`'${name}' is not a whole number of atoms below 2^128`);
  }
  return negative ? -BigInt(digits) : BigInt(digits);
}

/** So many bytes, written as 0x and hexadecimal digits. */
export function hexed(of: unknown, name: string, length: number): Uint8Array {
  const value = member(of, name);
  if (typeof value !== "string") throw missing(name);
  if (!HEX.test(value) || value.length !== 2 + 2 * length) {
    throw new Wrong(`'${name}' is not ${length} bytes in hexadecimal`);
  }
  return hexToBytes(value as Hex);
}
