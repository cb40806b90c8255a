import type {
  IChartApiBase,
  IPanePrimitive,
  IPrimitivePaneRenderer,
  Logical,
  PaneAttachedParameter,
  Time,
} from "lightweight-charts";

/** A range of bars to shade, by index on the axis, both ends inside. */
export interface Band {
  from: number;
  to: number;
  kind: "session" | "hole";
  isOpen?: boolean;
}

export interface BandColours {
  session: string;
  hole: string;
  openHole: string;
}

// A hole shorter than a bar must still be seen.
const NARROWEST_PX = 4;
const HATCH_PX = 7;

interface Drawable {
  from_px: number;
  to_px: number;
  band: Band;
}

class BandRenderer implements IPrimitivePaneRenderer {
  readonly #drawables: Drawable[];
  readonly #colours: BandColours;

  constructor(drawables: Drawable[], colours: BandColours) {
    this.#drawables = drawables;
    this.#colours = colours;
  }

  draw(target: Parameters<IPrimitivePaneRenderer["draw"]>[0]): void {
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      for (const { from_px, to_px, band } of this.#drawables) {
        const width = to_px - from_px;
        if (band.kind === "session") {
          context.fillStyle = this.#colours.session;
          context.fillRect(from_px, 0, width, mediaSize.height);
        } else {
          this.#hatch(context, from_px, width, mediaSize.height, band.isOpen === true);
        }
      }
    });
  }

  #hatch(context: CanvasRenderingContext2D, x: number, width: number, height: number, isOpen: boolean): void {
    context.save();
    context.beginPath();
    context.rect(x, 0, width, height);
    context.clip();
    context.strokeStyle = isOpen ? this.#colours.openHole : this.#colours.hole;
    context.lineWidth = 1;
    context.globalAlpha = 0.55;
    context.beginPath();
    // Lines start at multiples of the spacing, so that the pattern stays still while the chart moves under it.
    for (let at = Math.floor((x - height) / HATCH_PX) * HATCH_PX; at < x + width; at += HATCH_PX) {
      context.moveTo(at, height);
      context.lineTo(at + height, 0);
    }
    context.stroke();
    context.restore();
  }
}

/** Shades sessions and hatches the holes of the record, behind the bars of one pane. */
export class Bands implements IPanePrimitive<Time> {
  #chart: IChartApiBase<Time> | null = null;
  #requestUpdate: (() => void) | null = null;
  #bands: Band[] = [];
  #colours: BandColours = { session: "transparent", hole: "transparent", openHole: "transparent" };
  readonly #views = [
    { zOrder: () => "bottom" as const, renderer: () => new BandRenderer(this.#drawables(), this.#colours) },
  ];

  attached({ chart, requestUpdate }: PaneAttachedParameter<Time>): void {
    this.#chart = chart;
    this.#requestUpdate = requestUpdate;
  }

  detached(): void {
    this.#chart = null;
  }

  paneViews() {
    return this.#views;
  }

  set(bands: Band[], colours: BandColours): void {
    this.#bands = bands;
    this.#colours = colours;
    this.#requestUpdate?.();
  }

  #drawables(): Drawable[] {
    const scale = this.#chart?.timeScale();
    const visible = scale?.getVisibleLogicalRange();
    if (!scale || !visible) return [];
    const drawables: Drawable[] = [];
    const origin = scale.logicalToCoordinate(0 as Logical) ?? 0;
    const half = ((scale.logicalToCoordinate(1 as Logical) ?? origin) - origin) / 2;
    for (const band of this.#bands) {
      if (band.to < visible.from - 1 || band.from > visible.to + 1) continue;
      const from = scale.logicalToCoordinate(band.from as Logical);
      const to = scale.logicalToCoordinate(band.to as Logical);
      if (from === null || to === null) continue;
      const middle = (from + to) / 2;
      const reach = Math.max((to - from) / 2 + half, NARROWEST_PX / 2);
      drawables.push({ from_px: middle - reach, to_px: middle + reach, band });
    }
    return drawables;
  }
}
