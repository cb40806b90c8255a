import { show, view, VIEWS } from "../state/route";
import { chosen } from "../state/settings";
import { step } from "../views/trade/Watchlist";
import { toggleFavourite } from "../views/trade/WatchRow";
import { isHelpOpen } from "./Help";
import { nextTheme } from "./TopBar";

/** Whether keys are text there, or mean something of that element's own. */
function takesKeys(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || target.closest("input, textarea, select, dialog, .editor, .chart-host") !== null;
}

function focusSearch(): void {
  show("trade");
  // The view may only now be drawn.
  requestAnimationFrame(() => document.getElementById("symbol-search")?.focus());
}

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const target = event.target;
  if (event.key === "Escape" && target instanceof HTMLInputElement) target.blur();
  const isSearch = target instanceof HTMLElement && target.id === "symbol-search";
  const isArrow = event.key === "ArrowDown" || event.key === "ArrowUp";
  if (takesKeys(target) && !(isSearch && isArrow)) return;
  if (isArrow && view.value === "trade") step(event.key === "ArrowDown" ? 1 : -1);
  else if (event.key === "/") focusSearch();
  else if (event.key === "?") isHelpOpen.value = true;
  else if (event.key === "t") nextTheme();
  else if (event.key === "f" && chosen.value !== "") toggleFavourite(chosen.value);
  else if (VIEWS[Number(event.key) - 1]) show(VIEWS[Number(event.key) - 1]!);
  else return;
  event.preventDefault();
}

export function listenToKeys(): void {
  window.addEventListener("keydown", onKey);
}
