import { signal } from "@preact/signals";
import type { Pipeline } from "../api/types";

const KEPT = 180;

export interface Sample {
  records_per_s: number;
  latency_p99_ms: number;
  lag_records: number;
}

export const pipeline = signal<Pipeline | null>(null);
/** The last minutes of each stage, oldest first, one sample a second. */
export const history = new Map<string, Sample[]>();

export function takePipeline(next: Pipeline): void {
  for (const stage of next.stages) {
    const samples = history.get(stage.stage) ?? [];
    samples.push({
      records_per_s: stage.records_per_s ?? 0,
      latency_p99_ms: stage.latency_p99_ms ?? 0,
      lag_records: stage.lag_records ?? 0,
    });
    if (samples.length > KEPT) samples.shift();
    history.set(stage.stage, samples);
  }
  pipeline.value = next;
}
