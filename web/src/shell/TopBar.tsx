import { useEffect, useState } from "preact/hooks";
import { timeOfDay, zoneName } from "../format/times";
import { unacknowledged } from "../state/alerts";
import { zone } from "../state/info";
import { show, view, VIEW_TITLES, VIEWS } from "../state/route";
import { shownTheme, theme, zoneChoice, type Theme, type ZoneChoice } from "../state/settings";
import { isHelpOpen } from "./Help";
import { LinkLight } from "./LinkLight";

const ZONES: Record<ZoneChoice, string> = { exchange: "Exchange", local: "Local", UTC: "UTC" };
const THEMES: Theme[] = ["auto", "dark", "light"];
const THEME_SIGNS: Record<Theme, string> = { auto: "◐", dark: "☾", light: "☀" };

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
}

export function TopBar() {
  return (
    <header class="top">
      <a class="brand" href="#/trade" aria-label="ticktrail">
        <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
          <path d="M3 23l7-8 5 5 6-11 8 6" fill="none" stroke="currentColor" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" />
        </svg>
        <span>ticktrail</span>
      </a>
      <nav class="views" aria-label="Views">
        {VIEWS.map((name, i) => (
          <a
            key={name}
            href={`#/${name}`}
            aria-current={view.value === name ? "page" : undefined}
            title={`${VIEW_TITLES[name]} ( ${i + 1} )`}
            onClick={(event) => {
              event.preventDefault();
              show(name);
            }}
          >
            {VIEW_TITLES[name]}
            {name === "alerts" && unacknowledged.value > 0 && (
              <span class="count" aria-label={`${unacknowledged.value} not acknowledged`}>
                {unacknowledged.value}
              </span>
            )}
          </a>
        ))}
      </nav>
      <div class="top-end">
        <LinkLight />
        <Clock />
        <ZoneSelect />
        <button
          type="button"
          class="button quiet"
          aria-label={`Theme ${theme.value}, shown ${shownTheme.value}; change`}
          title={`Theme: ${theme.value} ( t )`}
          onClick={nextTheme}
        >
          {THEME_SIGNS[theme.value]}
        </button>
        <button
          type="button"
          class="button quiet"
          aria-label="Help"
          title="Help ( ? )"
          onClick={() => {
            isHelpOpen.value = true;
          }}
        >
          ?
        </button>
      </div>
    </header>
  );
}

function Clock() {
  const [now_ms, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  return (
    <time class="clock num" dateTime={new Date(now_ms).toISOString()}>
      {timeOfDay(now_ms * 1e6, zone.value)} <span class="dim">{zoneName(zone.value, now_ms)}</span>
    </time>
  );
}

/** Chooses the zone of all times of the page. */
function ZoneSelect() {
  return (
    <select
      class="input"
      aria-label="Time zone"
      title={`Times in ${zone.value}`}
      value={zoneChoice.value}
      onChange={(event) => {
        zoneChoice.value = event.currentTarget.value as ZoneChoice;
      }}
    >
      {Object.entries(ZONES).map(([choice, title]) => (
        <option key={choice} value={choice}>
          {title}
        </option>
      ))}
    </select>
  );
}
