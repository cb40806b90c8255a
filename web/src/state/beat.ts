import { signal } from "@preact/signals";

/** Rises once a second: for orders and sums that would be unreadable if they followed each trade. */
export const beat = signal(0);

setInterval(() => {
  beat.value += 1;
}, 1_000);
