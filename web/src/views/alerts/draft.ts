import type { Interval, Rule, RuleKind, RuleParameter, RuleValue, Severity } from "../../api/types";

/** A rule as it is being written: texts as typed. */
export interface Draft {
  name: string;
  kind: string;
  feed: string;
  symbols: string;
  params: Record<string, string>;
  interval: Interval;
  cooldown_s: string;
  hysteresis: string;
  quietFrom: string;
  quietTo: string;
  quietZone: string;
  severity: Severity;
  notify: string;
  is_enabled: boolean;
}

export type DraftErrors = Partial<Record<string, string>>;

/** "window_s" → "window": the unit of a parameter is told beside its value. */
export function parameterTitle(name: string): string {
  return name.replace(/_(ns|ms|s|pct|bytes)$/, "").replaceAll("_", " ");
}

export function emptyDraft(kind: RuleKind | undefined, feed: string, symbol: string, zone: string): Draft {
  return {
    name: "",
    kind: kind?.kind ?? "price_crosses",
    feed,
    symbols: symbol,
    params: defaultsOf(kind),
    interval: "1m",
    cooldown_s: "60",
    hysteresis: "0",
    quietFrom: "",
    quietTo: "",
    quietZone: zone,
    severity: "warning",
    notify: "",
    is_enabled: true,
  };
}

export function defaultsOf(kind: RuleKind | undefined): Record<string, string> {
  return Object.fromEntries((kind?.params ?? []).map((one) => [one.name, textOf(one.default)]));
}

function textOf(value: RuleValue): string {
  return Array.isArray(value) ? value.join(", ") : String(value ?? "");
}

export function draftOf(rule: Rule, kind: RuleKind | undefined, zone: string): Draft {
  const quiet = rule.quiet[0];
  const params = Object.fromEntries(Object.entries(rule.params).map(([name, value]) => [name, textOf(value)]));
  return {
    name: rule.name,
    kind: rule.kind,
    feed: rule.feed,
    symbols: rule.symbols.join(", "),
    params: { ...defaultsOf(kind), ...params },
    interval: rule.interval,
    cooldown_s: String(rule.cooldown_s),
    hysteresis: String(rule.hysteresis),
    quietFrom: quiet?.from ?? "",
    quietTo: quiet?.to ?? "",
    quietZone: quiet?.zone ?? zone,
    severity: rule.severity,
    notify: rule.notify.join(", "),
    is_enabled: rule.is_enabled,
  };
}

function list(text: string): string[] {
  return text.split(/[\s,]+/).filter((one) => one !== "");
}

/** Reads a draft; either the rule, or what is wrong with which field. The server checks the rest. */
export function ruleOf(draft: Draft, kind: RuleKind | undefined, rest: QuietRest): { rule: Rule } | { errors: DraftErrors } {
  const errors: DraftErrors = {};
  const name = draft.name.trim();
  if (name === "") errors["name"] = "A rule needs a name.";
  const symbols = list(draft.symbols);
  if (symbols.length === 0) errors["symbols"] = "Name symbols, or * for all.";
  const cooldown_s = Number(draft.cooldown_s);
  if (draft.cooldown_s.trim() === "" || !(cooldown_s >= 0)) errors["cooldown_s"] = "A number of seconds, 0 or more.";
  const hysteresis = Number(draft.hysteresis);
  if (!(hysteresis >= 0)) errors["hysteresis"] = "A number, 0 or more.";
  if ((draft.quietFrom === "") !== (draft.quietTo === "")) errors["quiet"] = "Give both ends, or none.";
  const params = readParams(draft, kind?.params ?? [], errors);
  if (Object.keys(errors).length > 0) return { errors };
  const hours = draft.quietFrom === "" ? [] : [{ from: draft.quietFrom, to: draft.quietTo, zone: draft.quietZone }];
  const { kind: kindName, feed, interval, severity, is_enabled } = draft;
  const notify = draft.notify.split(",").map((one) => one.trim()).filter(Boolean);
  const quiet = [...hours, ...rest.quiet.slice(1)];
  return {
    rule: { name, kind: kindName, feed, symbols, params, interval, cooldown_s, hysteresis, quiet, severity, notify, is_enabled, source: "page" },
  };
}

/** The form shows the first quiet hours only; further ones, which a file may have, are kept. */
export interface QuietRest {
  quiet: Rule["quiet"];
}

function readParams(draft: Draft, described: RuleParameter[], errors: DraftErrors): Record<string, RuleValue> {
  const params: Record<string, RuleValue> = {};
  for (const parameter of described) {
    const text = (draft.params[parameter.name] ?? "").trim();
    if (text === "" && parameter.kind !== "list") {
      // What is left out has the server's default.
      if (parameter.is_required) errors[`params.${parameter.name}`] = "This is needed.";
    } else if (parameter.kind === "number") {
      const value = Number(text);
      if (!Number.isFinite(value)) errors[`params.${parameter.name}`] = "A number is needed.";
      params[parameter.name] = value;
    } else {
      params[parameter.name] = parameter.kind === "list" ? list(text) : text;
    }
  }
  return params;
}
