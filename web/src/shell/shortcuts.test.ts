// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { type Command, registerCommand } from "./commands";
import { changeSettings, DEFAULTS } from "./settings";
import { commandFor, keyCaps, listenForShortcuts, nameOf } from "./shortcuts";

const PLAIN = { code: "", ctrlKey: false, metaKey: false, altKey: false };

function command(keys: string): Command {
  return { id: keys, title: keys, keys, run: () => undefined };
}

describe("names of keys", () => {
  test("are those that commands use", () => {
    expect(nameOf({ ...PLAIN, key: "B" })).toBe("b");
    expect(nameOf({ ...PLAIN, key: "?" })).toBe("?");
    expect(nameOf({ ...PLAIN, key: "k", metaKey: true })).toBe("mod+k");
    expect(nameOf({ ...PLAIN, key: "и", code: "KeyB" })).toBe("b");
    expect(nameOf({ ...PLAIN, key: "z", code: "KeyY" })).toBe("z");
    expect(nameOf({ ...PLAIN, key: "Shift" })).toBeNull();
    expect(nameOf({ ...PLAIN, key: "b", altKey: true })).toBeNull();
  });

  test("are shown as on the keyboard", () => {
    expect(keyCaps("mod+k")).toEqual(["Ctrl", "K"]);
    expect(keyCaps("g p")).toEqual(["G", "P"]);
    expect(keyCaps("/")).toEqual(["/"]);
  });
});

test("two keys after each other are found, single ones too", () => {
  const commands = [command("b"), command("g p"), command("p")];
  expect(commandFor("b", null, commands)).toBe(commands[0]);
  expect(commandFor("g", null, commands)).toBe("first");
  expect(commandFor("p", "g", commands)).toBe(commands[1]);
  expect(commandFor("p", null, commands)).toBe(commands[2]);
  expect(commandFor("x", "g", commands)).toBeNull();
});

describe("listening", () => {
  const run = vi.fn();
  let stop: () => void = () => undefined;
  let unregister: () => void = () => undefined;

  beforeEach(() => {
    run.mockReset();
    unregister = registerCommand({ ...command("b"), run });
    stop = listenForShortcuts();
  });
  afterEach(() => {
    stop();
    unregister();
    changeSettings(DEFAULTS);
    document.body.replaceChildren();
  });

  function press(key: string, at: EventTarget = document.body, more: KeyboardEventInit = {}): void {
    at.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
  }

  test("a key runs its command", () => {
    press("b");
    expect(run).toHaveBeenCalledTimes(1);
  });

  test("not while typing, but on a slider", () => {
    const input = document.body.appendChild(document.createElement("input"));
    press("b", input);
    expect(run).not.toHaveBeenCalled();
    input.type = "range";
    press("b", input);
    expect(run).toHaveBeenCalledTimes(1);
  });

  test("not when turned off, nor with a dialog open, nor when held down", () => {
    press("b", document.body, { repeat: true });
    changeSettings({ shortcuts: false });
    press("b");
    changeSettings({ shortcuts: true });
    document.body.appendChild(document.createElement("dialog")).setAttribute("open", "");
    press("b");
    expect(run).not.toHaveBeenCalled();
  });
});
