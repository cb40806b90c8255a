// A canvas knows no CSS variables: the colours of the theme are read from the style sheet.

export interface Colours {
  background: string;
  text: string;
  grid: string;
  line: string;
  up: string;
  down: string;
  upSoft: string;
  downSoft: string;
  accent: string;
  warning: string;
  session: string;
  series: string[];
}

export function readColours(): Colours {
  const style = getComputedStyle(document.documentElement);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    background: read("--surface"),
    text: read("--text-2"),
    grid: read("--grid"),
    line: read("--line"),
    up: read("--up"),
    down: read("--down"),
    upSoft: read("--up-soft"),
    downSoft: read("--down-soft"),
    accent: read("--accent"),
    warning: read("--warning"),
    session: read("--session"),
    series: [1, 2, 3, 4, 5, 6].map((n) => read(`--series-${n}`)),
  };
}
