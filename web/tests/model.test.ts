import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ChartModel } from "../src/bars/model";
import { bar, gap, historyOf, minutesOf } from "./bars";

const KEY = { feed: "sim", symbol: "AAPL", interval: "1m" } as const;

/** A server whose store may be away. */
class Server {
  isAway = false;
  bars = 10;
  gaps = [gap(3, 4, { state: "open" })];
  readonly asked: string[] = [];

  readonly fetch = async (address: string): Promise<Response> => {
    this.asked.push(address);
    const { pathname, searchParams } = new URL(address, "http://here/");
    if (this.isAway) return Response.json({ error: { what: "away", why: "", next_step: "" } }, { status: 503 });
    if (pathname.endsWith("/gaps")) return Response.json({ gaps: this.gaps });
    const end = searchParams.get("end_ns");
    const page = await historyOf(this.bars, 500)(end === null ? null : Number(end));
    return Response.json({ ...page, gaps: this.gaps });
  };
}

let server: Server;

beforeEach(() => {
  server = new Server();
  vi.useFakeTimers();
  vi.stubGlobal("fetch", server.fetch);
  vi.stubGlobal("window", globalThis);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a chart", () => {
  it("shows what is live while the store is away, and joins the history once it is back", async () => {
    server.isAway = true;
    const model = new ChartModel(KEY, [], () => {});
    await model.catchUp();
    expect(model.state.value).toBe("failed");
    model.mergeLive([bar(9), bar(10, { is_final: false })]);
    expect(minutesOf(model.series.bars)).toEqual([9, 10]);
    server.isAway = false;
    await vi.advanceTimersByTimeAsync(2_000);
    expect(model.state.value).toBe("ready");
    expect(minutesOf(model.series.bars)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    model.close();
  });

  it("asks ever more rarely, and not at all once it is closed", async () => {
    server.isAway = true;
    const model = new ChartModel(KEY, [], () => {});
    await model.catchUp();
    await vi.advanceTimersByTimeAsync(60_000);
    const asked = server.asked.length;
    expect(asked).toBeGreaterThan(5);
    expect(asked).toBeLessThan(15);
    model.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.asked).toHaveLength(asked);
  });

  it("follows the ledger of gaps", async () => {
    const model = new ChartModel(KEY, [], () => {});
    await model.reloadGaps();
    expect(server.asked).toEqual([]);
    await model.catchUp();
    expect([...model.gaps.values()].map((one) => one.state)).toEqual(["open"]);
    server.gaps = [gap(3, 4, { state: "repaired" }), gap(6, 7)];
    await model.reloadGaps();
    expect([...model.gaps.values()].map((one) => one.state)).toEqual(["repaired", "permanent"]);
    model.close();
  });
});
