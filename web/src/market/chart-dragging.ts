/**
 * One's own orders are taken by their lines and put at another price, with the mouse: at the keyboard, and with a
 * finger, which moves the chart, prices are changed in the list of orders. Nothing is sent from here.
 */

import type { ChartDrawing, ChartOrder } from "./chart-drawing";

/** Less is a press, and no move. */
const FEWEST_PX = 3;

/** Until the returned function is called. `onMoved` is told where the line was let go, which then goes back. */
export function dragOrders(
  stage: HTMLElement,
  drawing: ChartDrawing,
  onMoved: (order: ChartOrder, price: string) => void,
): () => void {
  let held: { order: ChartOrder; fromY: number } | null = null;

  const heightOf = (event: MouseEvent): number => event.clientY - stage.getBoundingClientRect().top;

  function point(event: MouseEvent): void {
    if (held === null) stage.classList.toggle("grab", drawing.orderAt(heightOf(event)) !== null);
  }

  function press(event: MouseEvent): void {
    const order = event.button === 0 ? drawing.orderAt(heightOf(event)) : null;
    if (order === null) return;
    event.stopPropagation(); // the chart would move with it
    event.preventDefault();
    held = { order, fromY: event.clientY };
    document.addEventListener("mousemove", move);
    document.addEventListener("mouseup", drop);
    document.addEventListener("keydown", leave, true);
    window.addEventListener("blur", end);
  }

  function move(event: MouseEvent): void {
    if (held !== null) drawing.moveOrder(held.order, heightOf(event));
  }

  function drop(event: MouseEvent): void {
    if (held === null) return;
    const { order, fromY } = held;
    const price = Math.abs(event.clientY - fromY) < FEWEST_PX ? null : drawing.moveOrder(order, heightOf(event));
    end();
    if (price !== null && price !== order.price) onMoved(order, price);
  }

  function leave(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    end();
  }

  function end(): void {
    if (held === null) return;
    held = null;
    drawing.moveOrder(null, 0);
    stage.classList.remove("grab");
    document.removeEventListener("mousemove", move);
    document.removeEventListener("mouseup", drop);
    document.removeEventListener("keydown", leave, true);
    window.removeEventListener("blur", end);
  }

  stage.addEventListener("mousemove", point);
  stage.addEventListener("mousedown", press, true);
  return () => {
    end();
    stage.removeEventListener("mousemove", point);
    stage.removeEventListener("mousedown", press, true);
  };
}
