import type { ComponentChildren } from "preact";
import type { ApiProblem } from "../api/types";

/** What a panel shows while its data is on the way; takes the room that the data will take. */
export function Loading({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>{what}</p>
    </div>
  );
}

/** What a panel shows when there is nothing to show, and what would change that. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state">
      <p class="state-title">{title}</p>
      {children && <div class="state-note">{children}</div>}
    </div>
  );
}

/** A failure: what, why, next step. */
export function Problem({ problem, retry }: { problem: ApiProblem; retry?: () => void }) {
  return (
    <div class="state problem" role="alert">
      <p class="state-title">{problem.what}</p>
      <p class="state-note">{problem.why}</p>
      <p class="state-note">{problem.next_step}</p>
      {retry && (
        <button type="button" class="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
