import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ChartSession } from "../../chart/session";
import { Empty, Loading, Problem } from "../../parts/states";
import { info, zone } from "../../state/info";
import { isStale } from "../../state/live";
import { isKnown, splitKey } from "../../state/market";
import { chosen, compared, indicators, interval, shownTheme } from "../../state/settings";
import { BarTable } from "./BarTable";
import { ChartBar, isTable } from "./ChartBar";
import { Legend } from "./Legend";

const session = signal<ChartSession | null>(null);
// The chart library is a third of the page: the rest shows before it is here.
const library = () => Promise.all([import("../../chart/session"), import("../../chart/colours")]);

function onKey(event: KeyboardEvent): void {
  const moves: Record<string, [bars: number, zoom?: number]> = {
    ArrowLeft: [-10],
    ArrowRight: [10],
    "+": [0, 0.8],
    "-": [0, 1.25],
  };
  const move = moves[event.key];
  if (move) session.value?.move(...move);
  else if (event.key === "End") session.value?.showNewest();
  else return;
  event.preventDefault();
}

export function ChartPanel() {
  const host = useRef<HTMLDivElement>(null);
  const key = chosen.value;
  const wanted = indicators.value;
  const offered = info.value?.indicators;
  useEffect(() => {
    if (key === "" || offered === undefined) return;
    let isGone = false;
    let opened: ChartSession | null = null;
    void library().then(([{ ChartSession }, { readColours }]) => {
      if (isGone || host.current === null) return;
      opened = new ChartSession(host.current, {
        key: { ...splitKey(key), interval: interval.value },
        zone: zone.value,
        colours: readColours(),
        indicators: wanted,
        infos: offered,
      });
      session.value = opened;
    });
    return () => {
      isGone = true;
      session.value = null;
      opened?.close();
    };
  }, [key, interval.value, wanted.join(), zone.value, shownTheme.value, offered]);

  const others = compared.value.filter((other) => other !== key);
  useEffect(() => {
    session.value?.compare(others);
  }, [session.value, others.join()]);

  const { symbol } = splitKey(key);
  return (
    <section class="panel chart" aria-label="Chart">
      <ChartBar />
      <div class="chart-room grow">
        <div
          class="chart-host"
          ref={host}
          tabIndex={0}
          role="application"
          aria-roledescription="chart"
          aria-label={`Candles of ${symbol}, ${interval.value}. Arrow keys move, plus and minus zoom, End goes to now.`}
          onKeyDown={onKey}
        />
        {session.value && (isTable.value ? <BarTable session={session.value} /> : <Legend session={session.value} />)}
        <Cover session={session.value} />
      </div>
    </section>
  );
}

/** What lies over the chart while it has nothing to show. */
function Cover({ session: current }: { session: ChartSession | null }) {
  if (chosen.value === "" && !isKnown.value) return <div class="cover"><Loading what="Waiting for the market" /></div>;
  if (chosen.value === "") return <div class="cover"><Empty title="No symbol chosen">Choose one in the watchlist.</Empty></div>;
  if (current === null) return <div class="cover"><Loading what="Opening the chart" /></div>;
  const { state, problem, series } = current.model;
  void current.drawn.value;
  if (series.last === undefined) {
    if (state.value === "loading") return <div class="cover"><Loading what="Reading bars" /></div>;
    if (state.value === "failed" && problem.value) {
      return <div class="cover"><Problem problem={problem.value} retry={() => void current.model.catchUp()} /></div>;
    }
    return <div class="cover"><Empty title="No bars yet">The first bar appears with the first trade.</Empty></div>;
  }
  // What is there stays readable when the rest cannot be had; a lost connection is told by the banner.
  const trouble = problem.value ?? current.comparedProblem.value;
  if (trouble && !isStale.value) return <p class="chart-note" role="status">{trouble.what}: {trouble.why}</p>;
  return state.value === "loading" && <p class="chart-note" role="status">Reading older bars…</p>;
}
