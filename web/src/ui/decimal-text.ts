/** What somebody types or pastes as a number, brought to digits and at most one point. */

const THOUSANDS = /^\d{1,3}(,\d{3})+(\.\d*)?$/;

/** "1,234.5" is 1234.5; a lone comma is a point, as phones of many countries have no other; the rest is dropped. */
export function cleanDecimal(text: string): string {
  const compact = text.replace(/[\s_']/g, "");
  const pointed = THOUSANDS.test(compact)
    ? compact.replaceAll(",", "")
    : compact.includes(".")
      ? compact.replaceAll(",", "")
      : compact.replace(",", ".");
  const digits = pointed.replace(/[^\d.]/g, "");
  const point = digits.indexOf(".");
  return point === -1 ? digits : digits.slice(0, point + 1) + digits.slice(point + 1).replaceAll(".", "");
}
