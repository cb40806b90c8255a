const FIRST_MS = 500;
const MOST_MS = 20_000;

/**
 * Waits before a reconnect: doubling, capped, and drawn at random between half and all of it, so that
 * the pages of a whole office do not return in the same instant after a restart of the server.
 */
export class Backoff {
  #attempts = 0;
  readonly #random: () => number;

  constructor(random: () => number = Math.random) {
    this.#random = random;
  }

  nextMs(): number {
    const fullMs = Math.min(MOST_MS, FIRST_MS * 2 ** this.#attempts);
    this.#attempts += 1;
    return fullMs * (0.5 + 0.5 * this.#random());
  }

  reset(): void {
    this.#attempts = 0;
  }
}
