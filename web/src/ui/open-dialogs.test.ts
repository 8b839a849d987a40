import { expect, it, vi } from "vitest";

import { dialogOpened, onDialogs, uppermostDialog } from "./open-dialogs";

it("the one that was opened last is uppermost, in whatever order they close", () => {
  const [first, second] = [{} as HTMLDialogElement, {} as HTMLDialogElement];
  const told = vi.fn();
  const stop = onDialogs(told);
  expect(uppermostDialog()).toBeNull();
  const closeFirst = dialogOpened(first);
  const closeSecond = dialogOpened(second);
  expect(uppermostDialog()).toBe(second);
  closeFirst();
  expect(uppermostDialog()).toBe(second);
  closeSecond();
  expect(uppermostDialog()).toBeNull();
  expect(told).toHaveBeenCalledTimes(4);
  stop();
});
