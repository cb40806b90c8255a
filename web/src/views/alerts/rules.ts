import { signal } from "@preact/signals";
import { get, problemFrom, write } from "../../api/http";
import type { ApiProblem, Rule } from "../../api/types";

export const rules = signal<Rule[] | null>(null);
export const rulesProblem = signal<ApiProblem | null>(null);

function path(name: string): string {
  return `rules/${encodeURIComponent(name)}`;
}

export async function loadRules(): Promise<void> {
  try {
    const answer = await get<{ rules: Rule[] }>("rules");
    rules.value = answer.rules;
    rulesProblem.value = null;
  } catch (error) {
    rulesProblem.value = problemFrom(error);
  }
}

/** Writes, then reads all rules again: the server may have changed more than what was sent. */
async function change(request: Promise<unknown>): Promise<void> {
  try {
    await request;
  } catch (error) {
    rulesProblem.value = problemFrom(error);
    return;
  }
  await loadRules();
}

/** Creates a rule, or replaces the one called `before`; throws what the server has against it. */
export async function saveRule(rule: Rule, before: string | null): Promise<void> {
  await (before === null ? write("POST", "rules", rule) : write("PUT", path(before), rule));
  await loadRules();
}

export function deleteRule(rule: Rule): Promise<void> {
  return change(write("DELETE", path(rule.name)));
}

export function enableRule(rule: Rule, is_enabled: boolean): Promise<void> {
  return change(write("PUT", path(rule.name), { ...rule, is_enabled }));
}

/** Mutes until a moment; null ends it. */
export function muteRule(rule: Rule, until_ns: number | null): Promise<void> {
  return change(write("POST", `${path(rule.name)}/mute`, { until_ns }));
}
