/** Which words of a phrase are asked for: three places that cannot be foreseen, in order. */

const ASKED = 3;

export function wordsAsked(phrase: string): number[] {
  const places = phrase.split(" ").map((_, place) => place);
  const drawn: number[] = [];
  while (drawn.length < ASKED && places.length > 0) {
    const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
    drawn.push(...places.splice(random % places.length, 1));
  }
  return drawn.sort((one, other) => one - other);
}
