/** Where the tour's card stands. All of it in pixels of the window. */

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

export const CARD_WIDTH = 300;
/** With the longest of its texts. */
const CARD_HEIGHT = 170;
const GAP = 12;

/** Beside what it speaks of where there is room, below or above it else, and always on the screen. */
export function cardPlace(box: Box, width: number, height: number): { left: number; top: number } {
  const clamp = (value: number, most: number): number => Math.max(GAP, Math.min(value, most - GAP));
  const left = clamp(box.left, width - CARD_WIDTH);
  if (box.left - CARD_WIDTH - GAP >= GAP) return { left: box.left - CARD_WIDTH - GAP, top: clamp(box.top, height - CARD_HEIGHT) };
  if (box.left + box.width + GAP + CARD_WIDTH + GAP <= width) {
    return { left: box.left + box.width + GAP, top: clamp(box.top, height - CARD_HEIGHT) };
  }
  const below = box.top + box.height + GAP;
  if (below + CARD_HEIGHT + GAP <= height) return { left, top: below };
  return { left, top: clamp(box.top - CARD_HEIGHT - GAP, height - CARD_HEIGHT) };
}
