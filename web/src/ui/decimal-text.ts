/** What somebody types or pastes as a number, brought to digits and one point: never to another number. */

const PLAIN = /^\d*\.?\d*$/;
const THOUSANDS = /^\d{1,3}(,\d{3})+(\.\d*)?$/;
const THOUSANDS_WITH_POINTS = /^\d{1,3}(\.\d{3}){2,}$|^\d{1,3}(\.\d{3})+,\d+$/;

/** The text of a field after a change. `before` is what was in it. */
export function cleanDecimal(text: string, before: string): string {
  const isTyped = text.length === before.length + 1 && PLAIN.test(before);
  return isTyped ? typed(text, before) : pasted(text);
}

/** One more character: a comma is a point, as phones of many countries have no other; what does not belong is not taken. */
function typed(text: string, before: string): string {
  const pointed = text.replace(",", ".");
  return PLAIN.test(pointed) ? pointed : before;
}

/**
 * "1,234.5", "1.234,5", "1 234.5" and "$1234.5" are all 1234.5. What stays doubtful or has a sign or an exponent stays
 * as it is, for the field to refuse.
 */
function pasted(text: string): string {
  const compact = text.replace(/[\s_']/g, "");
  const bare = compact.replace(/^[^\d.,+-]+|[^\d.,]+$/g, ""); // without the unit around it
  if (THOUSANDS.test(bare)) return bare.replaceAll(",", "");
  if (THOUSANDS_WITH_POINTS.test(bare)) return bare.replaceAll(".", "").replace(",", ".");
  const pointed = bare.replace(",", ".");
  return PLAIN.test(pointed) ? pointed : bare;
}
