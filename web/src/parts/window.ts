import { useLayoutEffect, useState } from "preact/hooks";
import type { RefObject } from "preact";

// Rows drawn beyond the edges, so that a quick scroll shows no blank.
const BEYOND = 8;

export interface RowWindow {
  from: number;
  to: number;
}

/** Which of `count` rows of equal height are in sight of the scrolling element. */
export function useRowWindow(box: RefObject<HTMLElement | null>, count: number, row_px: number): RowWindow {
  const [place, setPlace] = useState({ top_px: 0, height_px: 600 });
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    const read = () => setPlace({ top_px: element.scrollTop, height_px: element.clientHeight });
    read();
    const observer = new ResizeObserver(read);
    observer.observe(element);
    element.addEventListener("scroll", read, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", read);
    };
  }, [box]);
  const from = Math.max(0, Math.min(count, Math.floor(place.top_px / row_px) - BEYOND));
  const to = Math.min(count, Math.ceil((place.top_px + place.height_px) / row_px) + BEYOND);
  return { from, to: Math.max(from, to) };
}

/** Scrolls just as far as needed for row `index` to be in sight, below a header that stays. */
export function revealRow(element: HTMLElement, index: number, row_px: number, header_px: number): void {
  const top_px = index * row_px;
  if (top_px < element.scrollTop) element.scrollTop = top_px;
  const bottom_px = top_px + row_px + header_px;
  if (bottom_px > element.scrollTop + element.clientHeight) element.scrollTop = bottom_px - element.clientHeight;
}
