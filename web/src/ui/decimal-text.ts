/** What somebody types or pastes as a number, brought to digits and at most one point. */

const THOUSANDS = /^\d{1,3}(,\d{3})+(\.\d*)?$/;
const THOUSANDS_WITH_POINTS = /^\d{1,3}(\.\d{3})+,\d*$/;
/** Means another number without its sign or exponent. */
const SIGNED_OR_EXPONENT = /^(-[\d.,]+|-?[\d.,]+e[+-]?\d+)$/i;

/**
 * "1,234.5" and "1.234,5" are 1234.5; a lone comma is a point, as phones of many countries have no other. The rest is
 * dropped, but where that would make another number of it: such a text stays, for the field to refuse.
 */
export function cleanDecimal(text: string): string {
  const compact = text.replace(/[\s_']/g, "");
  if (SIGNED_OR_EXPONENT.test(compact)) return compact;
  const digits = withPoint(compact).replace(/[^\d.]/g, "");
  const point = digits.indexOf(".");
  return point === -1 ? digits : digits.slice(0, point + 1) + digits.slice(point + 1).replaceAll(".", "");
}

function withPoint(text: string): string {
  if (THOUSANDS_WITH_POINTS.test(text)) return text.replaceAll(".", "").replace(",", ".");
  if (THOUSANDS.test(text) || text.includes(".")) return text.replaceAll(",", "");
  return text.replace(",", ".");
}
