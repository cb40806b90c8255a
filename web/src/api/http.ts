import type { ApiProblem } from "./types";

/** A refusal or failure of the server, in its own words: what, why, next step. */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: ApiProblem;

  constructor(status: number, problem: ApiProblem) {
    super(problem.what);
    this.status = status;
    this.problem = problem;
  }
}

const UNREACHABLE: ApiProblem = {
  what: "The server does not answer",
  why: "it stopped, or the network between is down",
  next_step: "See whether `ticktrail serve` runs; the page tries again by itself.",
};

/** Where the interface lives, relative to the page, so that a path before it does not matter. */
export const API = "api/v1";

/** Sends a request; gives the answer, or throws `ApiError`. An abort stays the browser's `AbortError`. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${API}/${path}`, { credentials: "same-origin", ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, UNREACHABLE);
  }
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response;
}

export async function get<T>(
  path: string,
  query: Record<string, string | number | null | undefined> = {},
  signal?: AbortSignal,
): Promise<T> {
  const pairs = Object.entries(query).filter(([, value]) => value != null);
  const text = new URLSearchParams(pairs.map(([name, value]) => [name, String(value)])).toString();
  const response = await send(text ? `${path}?${text}` : path, signal ? { signal } : {});
  return (await response.json()) as T;
}

/** Sends a body as JSON; the answer may be empty. */
export async function write<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const response = await send(path, jsonRequest(method, body, signal));
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

export function jsonRequest(method: string, body?: unknown, signal?: AbortSignal): RequestInit {
  return {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    headers: { "Content-Type": "application/json" },
    ...(signal ? { signal } : {}),
  };
}

export function problemFrom(error: unknown): ApiProblem {
  if (error instanceof ApiError) return error.problem;
  return { what: "The page failed", why: String(error), next_step: "Reload it; report this if it comes again." };
}

async function problemOf(response: Response): Promise<ApiProblem> {
  try {
    const body = (await response.json()) as { error?: ApiProblem };
    if (body.error) return body.error;
  } catch {
    // No JSON: a proxy between has answered, and its status is all there is to tell.
  }
  return {
    what: `The server answered ${response.status}`,
    why: response.statusText || "no reason given",
    next_step: "Try again; the server's log tells more.",
  };
}
