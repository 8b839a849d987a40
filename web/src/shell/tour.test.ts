import { expect, test } from "vitest";

import { cardPlace } from "./tour-place";

test("the card stands to the left of what it speaks of where there is room", () => {
  expect(cardPlace({ left: 1000, top: 100, width: 300, height: 600 }, 1440, 900)).toEqual({ left: 688, top: 100 });
});

test("else to the right", () => {
  expect(cardPlace({ left: 0, top: 100, width: 800, height: 600 }, 1440, 900)).toEqual({ left: 812, top: 100 });
});

test("else below, or above, and always on the screen", () => {
  expect(cardPlace({ left: 200, top: 8, width: 150, height: 40 }, 390, 844)).toEqual({ left: 78, top: 60 });
  expect(cardPlace({ left: 0, top: 300, width: 390, height: 540 }, 390, 844)).toEqual({ left: 12, top: 118 });
  expect(cardPlace({ left: 0, top: 100, width: 390, height: 740 }, 390, 844)).toEqual({ left: 12, top: 12 });
});
