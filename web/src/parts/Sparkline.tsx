const WIDTH = 72;
const HEIGHT = 20;
const EDGE = 2;

/** A line without axes; its shape is told in numbers elsewhere, so it says nothing to a screen reader. */
export function Sparkline({ values, way }: { values: readonly number[] | undefined; way: -1 | 0 | 1 }) {
  return (
    <svg class={`spark way${way}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      {values && values.length > 1 && <polyline points={pointsOf(values)} vector-effect="non-scaling-stroke" />}
    </svg>
  );
}

function pointsOf(values: readonly number[]): string {
  const low = Math.min(...values);
  const range = Math.max(...values) - low || 1;
  const step = WIDTH / (values.length - 1);
  const usable = HEIGHT - 2 * EDGE;
  return values.map((value, i) => `${(i * step).toFixed(1)},${(HEIGHT - EDGE - ((value - low) / range) * usable).toFixed(1)}`).join(" ");
}
