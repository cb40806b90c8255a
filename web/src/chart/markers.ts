import type { SeriesMarker, Time } from "lightweight-charts";
import type { Alert } from "../api/types";
import type { BarSeries } from "../bars/series";
import type { Colours } from "./colours";
import { chartTime } from "./priceChart";

/** Alerts above and corrected bars below the candles they belong to. */
export function markersOf(series: BarSeries, alerts: readonly Alert[], colours: Colours): SeriesMarker<Time>[] {
  const markers: SeriesMarker<Time>[] = [];
  const severities = { info: colours.accent, warning: colours.warning, critical: colours.down };
  const first_ns = series.first?.ts_open_ns ?? Number.POSITIVE_INFINITY;
  for (const alert of alerts) {
    if (alert.ts_ns < first_ns) continue;
    const bar = series.barAt(alert.ts_ns);
    if (bar === undefined) continue;
    const color = severities[alert.severity];
    markers.push({ time: chartTime(bar.ts_open_ns), position: "aboveBar", shape: "arrowDown", color, text: alert.rule });
  }
  for (const bar of series.bars) {
    if (bar.revision === 0) continue;
    const time = chartTime(bar.ts_open_ns);
    markers.push({ time, position: "belowBar", shape: "circle", color: colours.warning, size: 0.5 });
  }
  return markers.sort((a, b) => (a.time as number) - (b.time as number));
}
