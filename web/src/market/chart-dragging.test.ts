// @vitest-environment jsdom

import { beforeEach, expect, it, vi } from "vitest";

import { dragOrders } from "./chart-dragging";
import type { ChartDrawing, ChartOrder } from "./chart-drawing";

const ORDER: ChartOrder = { id: "7", side: "buy", price: "2990", remaining: "0.5", waitsAs: null };
const LINE_Y = 100;

/** A line at 100; each pixel further down is one less. */
const drawing = {
  orderAt: (y: number) => (Math.abs(y - LINE_Y) <= 5 ? ORDER : null),
  moveOrder: vi.fn((order: ChartOrder | null, y: number) => (order === null ? null : String(2990 + LINE_Y - y))),
};
const onMoved = vi.fn();
const onChart = vi.fn();
let stage: HTMLElement;

beforeEach(() => {
  vi.clearAllMocks();
  stage = document.createElement("div");
  const canvas = document.createElement("canvas");
  canvas.addEventListener("mousedown", onChart);
  stage.append(canvas);
  document.body.replaceChildren(stage);
  const stop = dragOrders(stage, drawing as unknown as ChartDrawing, onMoved);
  return stop;
});

function mouse(type: string, y: number, on: EventTarget = stage.firstElementChild ?? stage, button = 0): void {
  on.dispatchEvent(new MouseEvent(type, { clientY: y, button, bubbles: true, cancelable: true }));
}

it("a line is taken, and let go at another price", () => {
  mouse("mousemove", 98);
  expect(stage.classList.contains("grab")).toBe(true);
  mouse("mousedown", 98);
  expect(onChart).not.toHaveBeenCalled(); // the chart stays where it is
  mouse("mousemove", 120, document);
  mouse("mouseup", 140, document);
  expect(onMoved).toHaveBeenCalledExactlyOnceWith(ORDER, "2950");
  expect(drawing.moveOrder).toHaveBeenLastCalledWith(null, 0);
});

it("a press that does not move it changes nothing", () => {
  mouse("mousedown", 100);
  mouse("mouseup", 102, document);
  expect(onMoved).not.toHaveBeenCalled();
});

it("what is no line is the chart's, and the other buttons too", () => {
  mouse("mousedown", 200);
  mouse("mousedown", 100, undefined, 2);
  expect(onChart).toHaveBeenCalledTimes(2);
  mouse("mouseup", 260, document);
  expect(onMoved).not.toHaveBeenCalled();
});

it.each([
  ["Escape", () => document.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape" }))],
  ["another window", () => window.dispatchEvent(new Event("blur"))],
])("%s lets it go where it was", (_, leave) => {
  mouse("mousedown", 100);
  mouse("mousemove", 150, document);
  leave();
  mouse("mouseup", 150, document);
  expect(drawing.moveOrder).toHaveBeenLastCalledWith(null, 0);
  expect(onMoved).not.toHaveBeenCalled();
});
