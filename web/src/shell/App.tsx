import { useEffect } from "preact/hooks";
import { VIEW_TITLES, view } from "../state/route";
import { chosen } from "../state/settings";
import { rows, splitKey, ticked } from "../state/market";
import { price } from "../format/numbers";
import { isStale } from "../state/live";
import { isSignedOut } from "../state/info";
import TradeView from "../views/trade/TradeView";
import { Announcer } from "./Announcer";
import { Help, isHelpOpen } from "./Help";
import { LazyView } from "./LazyView";
import { LinkBanner } from "./LinkBanner";
import { SignIn } from "./SignIn";
import { TopBar } from "./TopBar";

const marketView = () => import("../views/market/MarketView");
const pipelineView = () => import("../views/pipeline/PipelineView");
const sqlView = () => import("../views/sql/SqlView");
const alertsView = () => import("../views/alerts/AlertsView");

export function App() {
  if (isSignedOut.value) return <SignIn />;
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <TopBar />
      <LinkBanner />
      <main id="main" class={isStale.value ? "stale" : ""} tabIndex={-1}>
        {view.value === "trade" && <TradeView />}
        {view.value === "market" && <LazyView load={marketView} />}
        {view.value === "pipeline" && <LazyView load={pipelineView} />}
        {view.value === "sql" && <LazyView load={sqlView} />}
        {view.value === "alerts" && <LazyView load={alertsView} />}
      </main>
      <Announcer />
      <Title />
      {isHelpOpen.value && <Help />}
    </>
  );
}

/** Keeps the price of the chosen symbol in the tab, where it is seen from other windows. */
function Title() {
  void ticked.value;
  const row = rows.get(chosen.value);
  const title = row
    ? `${splitKey(chosen.value).symbol} ${price(row.last)} · ${VIEW_TITLES[view.value]} · ticktrail`
    : `${VIEW_TITLES[view.value]} · ticktrail`;
  useEffect(() => {
    document.title = title;
  }, [title]);
  return null;
}
