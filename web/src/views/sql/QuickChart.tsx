import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { SqlAnswer } from "../../api/types";
import { compact, price } from "../../format/numbers";
import { moment } from "../../format/times";
import { Empty } from "../../parts/states";
import { zone } from "../../state/info";
import { shownTheme } from "../../state/settings";
import { placeOf, pointsOf, ticksOf, type Point } from "./plot";
import { isNumeric } from "./ResultTable";

const MARGIN = { top: 14, right: 16, bottom: 26, left: 72 };

/** Draws one column of a result against another. */
export function QuickChart({ answer }: { answer: SqlAnswer }) {
  const { columns } = answer;
  const guess = useMemo(() => guessAxes(answer), [answer]);
  const [axes, setAxes] = useState(guess);
  const [isBars, setBars] = useState(false);
  useEffect(() => setAxes(guess), [guess]);
  const points = useMemo(() => pointsOf(answer, axes.x, axes.y), [answer, axes]);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = canvas.current?.parentElement;
    if (!element) return;
    const observer = new ResizeObserver(() => setSize({ width: element.clientWidth, height: element.clientHeight }));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const isTime = axes.x >= 0 && /TIME|DATE/i.test(columns[axes.x]?.type ?? "");
  useEffect(() => {
    if (canvas.current) paint(canvas.current, points, size, isBars, isTime);
  }, [points, size, isBars, isTime, shownTheme.value]);
  const choice = (axis: "x" | "y", label: string) => (
    <label>
      {label}{" "}
      <select class="input" value={axes[axis]} onChange={(event) => setAxes({ ...axes, [axis]: Number(event.currentTarget.value) })}>
        {axis === "x" && <option value={-1}>row</option>}
        {columns.map((column, i) => (
          <option key={i} value={i}>
            {column.name}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <div class="quick grow">
      <div class="panel-bar">
        {choice("x", "across")}
        {choice("y", "up")}
        <div class="segments" role="group" aria-label="Kind">
          <button type="button" aria-pressed={!isBars} onClick={() => setBars(false)}>line</button>
          <button type="button" aria-pressed={isBars} onClick={() => setBars(true)}>bars</button>
        </div>
        <span class="dim num">{compact(points.length)} points</span>
      </div>
      <div class="quick-room grow">
        <canvas ref={canvas} role="img" aria-label={`Chart of ${columns[axes.y]?.name ?? ""}; the table tells the same`} />
        {points.length === 0 && <Empty title="Nothing to draw">Choose columns that hold numbers or times.</Empty>}
      </div>
    </div>
  );
}

function guessAxes({ columns, rows }: SqlAnswer): { x: number; y: number } {
  const x = columns.findIndex((column) => /TIME|DATE/i.test(column.type));
  const y = columns.findIndex((column, i) => i !== x && isNumeric(column.type) && rows.some((row) => placeOf(row[i]) !== null));
  return { x, y: Math.max(y, 0) };
}

function paint(
  canvas: HTMLCanvasElement,
  points: readonly Point[],
  { width, height }: { width: number; height: number },
  isBars: boolean,
  isTime: boolean,
): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  const first = points[0];
  const last = points.at(-1);
  if (context === null || first === undefined || last === undefined) return;
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  // Loops, not spread arguments: a result may have more rows than a call may have arguments.
  let low = isBars ? 0 : first.y;
  let high = isBars ? 0 : first.y;
  for (const { y } of points) {
    if (y < low) low = y;
    if (y > high) high = y;
  }
  if (high === low) high = low + 1;
  const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const xOf = (x: number) => MARGIN.left + (last.x > first.x ? (x - first.x) / (last.x - first.x) : 0.5) * inner.width;
  const yOf = (y: number) => MARGIN.top + (1 - (y - low) / (high - low)) * inner.height;
  context.scale(ratio, ratio);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = read("--text-2");
  context.strokeStyle = read("--line");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of ticksOf(low, high, 5)) {
    context.fillText(Math.abs(tick) >= 10_000 ? compact(tick) : price(tick), MARGIN.left - 8, yOf(tick));
    context.strokeRect(MARGIN.left, yOf(tick), inner.width, 0);
  }
  context.textAlign = "center";
  for (const share of [0.08, 0.36, 0.64, 0.92]) {
    const x = first.x + share * (last.x - first.x);
    context.fillText(isTime ? moment(x * 1e6, zone.value) : compact(x), xOf(x), height - MARGIN.bottom / 2);
  }
  context.fillStyle = context.strokeStyle = read("--accent");
  if (isBars) {
    const bar = Math.max(1, (inner.width / points.length) * 0.7);
    for (const { x, y } of points) context.fillRect(xOf(x) - bar / 2, yOf(Math.max(y, 0)), bar, Math.abs(yOf(y) - yOf(0)));
    return;
  }
  context.lineWidth = 1.5;
  context.beginPath();
  for (const { x, y } of points) context.lineTo(xOf(x), yOf(y));
  context.stroke();
}
