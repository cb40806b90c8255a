import { computed, signal } from "@preact/signals";
import { ApiError, get, problemFrom } from "../api/http";
import type { ApiProblem, Info } from "../api/types";
import { knownZone, localZone } from "../format/times";
import { splitKey } from "./market";
import { chosen, zoneChoice } from "./settings";

export const info = signal<Info | null>(null);
export const infoProblem = signal<ApiProblem | null>(null);
/** Whether the server refuses this page for want of a valid token. */
export const isSignedOut = signal(false);

const RETRY_MS = 3_000;

/** Reads what the server offers; tries again until it answers. */
export async function loadInfo(): Promise<void> {
  try {
    info.value = await get<Info>("info");
    infoProblem.value = null;
    isSignedOut.value = false;
  } catch (error) {
    noteRefusal(error);
    if (!isSignedOut.value) setTimeout(() => void loadInfo(), RETRY_MS);
  }
}

function noteRefusal(error: unknown): void {
  infoProblem.value = problemFrom(error);
  isSignedOut.value = error instanceof ApiError && (error.status === 401 || error.status === 403);
}

/**
 * Asks whether the token still holds. A browser does not tell why a WebSocket was refused, and a server that
 * was started again may have another token.
 */
export async function recheckToken(): Promise<void> {
  try {
    await get<Info>("info");
  } catch (error) {
    noteRefusal(error);
  }
}

export function may(scope: string): boolean {
  return info.value !== null && info.value.scopes.includes(scope);
}

/** The zone that times are shown in: of the chosen symbol's exchange, of this machine, or UTC. */
export const zone = computed(() => {
  if (zoneChoice.value === "UTC") return "UTC";
  if (zoneChoice.value === "local") return localZone();
  const { feed } = splitKey(chosen.value);
  const feeds = info.value?.feeds ?? [];
  return knownZone((feeds.find((one) => one.feed === feed) ?? feeds[0])?.zone);
});
