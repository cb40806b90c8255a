const WIDTH = 72;
const HEIGHT = 20;
const EDGE = 2;

/** A line without axes; its shape is told in numbers elsewhere, so it says nothing to a screen reader. */
export function Sparkline({ values, way }: { values: readonly (number | null)[] | undefined; way: -1 | 0 | 1 }) {
  return (
    <svg class={`spark way${way}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {values && <polyline points={pointsOf(values)} vector-effect="non-scaling-stroke" />}
    </svg>
  );
}

/** The places of what is known; the line begins with the first of it, and passes over holes. */
function pointsOf(values: readonly (number | null)[]): string {
  const from = values.findIndex((value) => value !== null);
  const known = values.flatMap((value, i) => (value === null ? [] : [[i - from, value] as const]));
  if (known.length < 2) return "";
  const low = Math.min(...known.map(([, value]) => value));
  const range = Math.max(...known.map(([, value]) => value)) - low || 1;
  const step = WIDTH / known.at(-1)![0];
  const usable = HEIGHT - 2 * EDGE;
  return known
    .map(([i, value]) => `${(i * step).toFixed(1)},${(HEIGHT - EDGE - ((value - low) / range) * usable).toFixed(1)}`)
    .join(" ");
}
