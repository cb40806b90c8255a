import { describe, expect, it } from "vitest";
import { Backoff } from "../src/live/backoff";
import { Sequence } from "../src/live/sequence";

describe("the sequence of a connection", () => {
  it("begins at 1 and rises by 1", () => {
    const sequence = new Sequence();
    expect([1, 2, 3].map((seq) => sequence.accept(seq))).toEqual([true, true, true]);
  });

  it.each([
    ["a hole", [1, 2, 4]],
    ["a repetition", [1, 2, 2]],
    ["a start after 1", [2]],
  ])("refuses %s", (_, seqs) => {
    const sequence = new Sequence();
    expect(seqs.map((seq) => sequence.accept(seq)).at(-1)).toBe(false);
  });
});

describe("waits before a reconnect", () => {
  it("double up to twenty seconds and begin anew after success", () => {
    const backoff = new Backoff(() => 1);
    expect(Array.from({ length: 7 }, () => backoff.nextMs())).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 20_000]);
    backoff.reset();
    expect(backoff.nextMs()).toBe(500);
  });

  it("spread over half of their length", () => {
    expect(new Backoff(() => 0).nextMs()).toBe(250);
  });
});
