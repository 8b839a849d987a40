/**
 * Exact arithmetic for prices, sizes and amounts: decimal strings outside, whole numbers of the smallest step
 * (atoms, ticks, lots) as bigint inside. Nothing here is ever a float.
 */

const DECIMAL = /^(\d+)(?:\.(\d+))?$/;

/** An exact decimal: `units` of 10^-`decimals`. */
export interface Decimal {
  units: bigint;
  decimals: number;
}

/** Reads a plain decimal: digits, one optional point; null for anything else (signs and exponents too). */
export function parseDecimal(text: string): Decimal | null {
  const match = DECIMAL.exec(text.trim());
  if (match === null) return null;
  const fraction = match[2] ?? "";
  return { units: BigInt((match[1] ?? "") + fraction), decimals: fraction.length };
}

/** A known decimal of the API, which may have a sign. Throws on what is none. */
export function toUnits(text: string, decimals: number): bigint {
  const negative = text.startsWith("-");
  const parsed = parseDecimal(negative ? text.slice(1) : text);
  if (parsed === null) throw new RangeError(`no decimal: ${text}`);
  const scaled = rescale(parsed, decimals);
  if (scaled === null) throw new RangeError(`${text} has more than ${decimals} decimals`);
  return negative ? -scaled : scaled;
}

/** The same value in other units; null when it is no whole number of them. */
export function rescale(value: Decimal, decimals: number): bigint | null {
  if (decimals >= value.decimals) return value.units * 10n ** BigInt(decimals - value.decimals);
  const divisor = 10n ** BigInt(value.decimals - decimals);
  return value.units % divisor === 0n ? value.units / divisor : null;
}

/** Units as the shortest exact decimal: no trailing zeros, no exponent. */
export function fromUnits(units: bigint, decimals: number): string {
  const sign = units < 0n ? "-" : "";
  const digits = (units < 0n ? -units : units).toString().padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, "");
  return sign + whole + (fraction === "" ? "" : `.${fraction}`);
}

/** With exactly so many decimals, cut off (never rounded up), for columns that line up. */
export function withDecimals(text: string, decimals: number): string {
  const [whole = "0", fraction = ""] = text.split(".");
  return decimals === 0 ? whole : `${whole}.${fraction.slice(0, decimals).padEnd(decimals, "0")}`;
}

/** Thousands set apart, for reading only: "1234567.8" becomes "1,234,567.8". */
export function grouped(text: string): string {
  const [whole = "0", fraction] = text.split(".");
  const set = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? set : `${set}.${fraction}`;
}

/** How many decimals a step such as a tick ("0.01") has. */
export function decimalsOf(step: string): number {
  return step.split(".")[1]?.length ?? 0;
}

/** Rounds towards minus infinity. `divisor` is positive. */
export function divFloor(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value % divisor < 0n ? quotient - 1n : quotient;
}

/** Rounds towards plus infinity. `divisor` is positive. */
export function divCeil(value: bigint, divisor: bigint): bigint {
  return -divFloor(-value, divisor);
}

/** Compares two decimals of the API: negative, zero or positive. */
export function compare(one: string, other: string): number {
  const decimals = Math.max(decimalsOf(one), decimalsOf(other));
  const difference = toUnits(one, decimals) - toUnits(other, decimals);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The exact product of two decimals, as the shortest decimal. */
export function times(one: string, other: string): string {
  const decimals = decimalsOf(one) + decimalsOf(other);
  return fromUnits(toUnits(one, decimalsOf(one)) * toUnits(other, decimalsOf(other)), decimals);
}

/** The exact sum of decimals, as the shortest decimal. */
export function plus(...all: string[]): string {
  const decimals = Math.max(0, ...all.map(decimalsOf));
  return fromUnits(all.reduce((sum, each) => sum + toUnits(each, decimals), 0n), decimals);
}

/** The exact difference of two decimals, as the shortest decimal. */
export function minus(one: string, other: string): string {
  const decimals = Math.max(decimalsOf(one), decimalsOf(other));
  return fromUnits(toUnits(one, decimals) - toUnits(other, decimals), decimals);
}
