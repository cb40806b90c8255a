import type { BarsAnswer } from "../api/types";

/** Gives the newest bars that open before `end_ns`; null means up to now. */
export type FetchPage = (end_ns: number | null) => Promise<BarsAnswer>;

export interface Refill {
  /** Newest first. */
  pages: BarsAnswer[];
  /** Whether they reach back to what is known; if not, what is known must go, or a hole would stay. */
  isJoined: boolean;
}

/**
 * Fetches from now backwards until the pages reach the bar that opens at `known_ns`, the last one that
 * was final before the stream broke.
 */
export async function refill(known_ns: number, fetchPage: FetchPage, pagesMax = 8): Promise<Refill> {
  const pages: BarsAnswer[] = [];
  let end_ns: number | null = null;
  while (pages.length < pagesMax) {
    const page = await fetchPage(end_ns);
    pages.push(page);
    const first_ns = page.bars.ts_open_ns[0];
    if (first_ns === undefined || first_ns <= known_ns || !page.has_more) return { pages, isJoined: true };
    end_ns = first_ns;
  }
  return { pages, isJoined: false };
}
