import { useEffect, useRef, useState } from "preact/hooks";
import type { Row } from "../../api/types";
import { compact, percent, price } from "../../format/numbers";
import { Empty } from "../../parts/states";
import { beat } from "../../state/beat";
import { keyOf, rows } from "../../state/market";
import { show } from "../../state/route";
import { chosen, shownTheme } from "../../state/settings";
import { leaders, turnoverOf } from "./statistics";
import { squarify, type Tile } from "./treemap";

// More tiles than this are specks.
const TILES_MAX = 250;
// How wide "+12.34%" is in its smaller type, in units of the symbol's.
const PERCENT_EMS = 3.9;
// Text smaller than this is not drawn.
const LABEL_PX = 10;

interface Map {
  tiles: Tile[];
  drawn: Row[];
}

/** Tiles as large as what was traded, coloured by the change. */
export function HeatMap({ full_pct }: { full_pct: number }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const map = useRef<Map>({ tiles: [], drawn: [] });
  const [size, setSize] = useState({ width: 0, height: 0 });
  const [hovered, setHovered] = useState<{ row: Row; x: number; y: number } | null>(null);
  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    // Turnovers span six orders of magnitude; roots keep the small ones visible and the order true.
    const drawn = leaders(rows.values(), TILES_MAX, (row) => turnoverOf(row) || null);
    map.current = { drawn, tiles: squarify(drawn.map((row) => Math.sqrt(turnoverOf(row))), size.width, size.height) };
    if (canvas.current) paint(canvas.current, map.current, size, full_pct);
  }, [beat.value, size, shownTheme.value]);

  const rowAt = (event: MouseEvent): Row | undefined => {
    const { offsetX: x, offsetY: y } = event;
    const tile = map.current.tiles.find((one) => x >= one.x && x < one.x + one.width && y >= one.y && y < one.y + one.height);
    return tile && map.current.drawn[tile.index];
  };
  return (
    <div class="heat grow">
      <canvas
        ref={canvas}
        role="img"
        aria-label="Heat map: the tables beside it tell the same in numbers"
        onMouseMove={(event) => {
          const row = rowAt(event);
          setHovered(row ? { row, x: event.offsetX, y: event.offsetY } : null);
        }}
        onMouseLeave={() => setHovered(null)}
        onClick={(event) => {
          const row = rowAt(event);
          if (!row) return;
          chosen.value = keyOf(row);
          show("trade");
        }}
      />
      {rows.size === 0 && <Empty title="Nothing traded yet" />}
      {hovered && <Tip {...hovered} isRight={hovered.x > size.width / 2} />}
    </div>
  );
}

function Tip({ row, x, y, isRight }: { row: Row; x: number; y: number; isRight: boolean }) {
  const side = isRight ? { right: `calc(100% - ${x - 12}px)` } : { left: `${x + 12}px` };
  return (
    <div class="tip num" style={{ ...side, top: `${y}px` }}>
      <b>{row.symbol}</b> {price(row.last)} <span class={`way${Math.sign(row.change ?? 0)}`}>{percent(row.change_pct)}</span>
      <br />
      <span class="dim">traded {compact(turnoverOf(row))}</span>
    </div>
  );
}

function paint(canvas: HTMLCanvasElement, { tiles, drawn }: Map, size: { width: number; height: number }, full_pct: number): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(size.width * ratio);
  canvas.height = Math.round(size.height * ratio);
  const context = canvas.getContext("2d");
  if (context === null) return;
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  const [neutral, up, down, text, dim] = ["--raised", "--heat-up", "--heat-down", "--text-1", "--text-2"].map(read) as [
    string, string, string, string, string,
  ];
  const font = getComputedStyle(document.body).fontFamily;
  context.scale(ratio, ratio);
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (const tile of tiles) {
    const row = drawn[tile.index]!;
    const change = row.change_pct ?? 0;
    const [x, y, width, height] = [tile.x + 0.5, tile.y + 0.5, tile.width - 1, tile.height - 1];
    context.fillStyle = neutral;
    context.fillRect(x, y, width, height);
    context.globalAlpha = Math.min(1, Math.abs(change) / full_pct);
    context.fillStyle = change >= 0 ? up : down;
    context.fillRect(x, y, width, height);
    context.globalAlpha = 1;
    const font_px = Math.min(22, width / Math.max(row.symbol.length * 0.82, PERCENT_EMS), height / 2.6);
    if (font_px < LABEL_PX) continue;
    context.fillStyle = row.state === "halted" ? dim : text;
    context.font = `600 ${font_px}px ${font}`;
    context.fillText(row.symbol, x + width / 2, y + height / 2 - font_px * 0.5);
    context.font = `${Math.max(LABEL_PX, font_px * 0.72)}px ${font}`;
    context.fillText(percent(row.change_pct), x + width / 2, y + height / 2 + font_px * 0.6);
  }
}
