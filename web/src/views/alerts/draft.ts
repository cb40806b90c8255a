import type { Interval, Rule, RuleKind, RuleValue, Severity } from "../../api/types";

/** A rule as it is being written: texts as typed. */
export interface Draft {
  name: string;
  kind: string;
  feed: string;
  symbols: string;
  params: Record<string, string>;
  /** The parameters as JSON, where the server does not describe those of the kind. */
  paramsJson: string;
  interval: string;
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

export function emptyDraft(kind: RuleKind | undefined, feed: string, zone: string): Draft {
  return {
    name: "",
    kind: kind?.kind ?? "percent_move",
    feed,
    symbols: "*",
    params: defaultsOf(kind),
    paramsJson: "{}",
    interval: "",
    cooldown_s: "300",
    hysteresis: "",
    quietFrom: "",
    quietTo: "",
    quietZone: zone,
    severity: "warning",
    notify: "",
    is_enabled: true,
  };
}

export function defaultsOf(kind: RuleKind | undefined): Record<string, string> {
  return Object.fromEntries((kind?.params ?? []).map((one) => [one.name, one.default === null ? "" : String(one.default)]));
}

export function draftOf(rule: Rule, kind: RuleKind | undefined, zone: string): Draft {
  const quiet = rule.quiet[0];
  const params = Object.fromEntries(Object.entries(rule.params).map(([name, value]) => [name, value === null ? "" : String(value)]));
  return {
    name: rule.name,
    kind: rule.kind,
    feed: rule.feed,
    symbols: rule.symbols.join(", "),
    params: { ...defaultsOf(kind), ...params },
    paramsJson: JSON.stringify(rule.params, null, 1),
    interval: rule.interval ?? "",
    cooldown_s: String(rule.cooldown_s),
    hysteresis: rule.hysteresis == null ? "" : String(rule.hysteresis),
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
  const hysteresis = draft.hysteresis.trim() === "" ? null : Number(draft.hysteresis);
  if (Number.isNaN(hysteresis)) errors["hysteresis"] = "A number, or nothing.";
  if ((draft.quietFrom === "") !== (draft.quietTo === "")) errors["quiet"] = "Give both ends, or none.";
  const params = kind === undefined ? readJson(draft.paramsJson, errors) : readParams(draft, kind, errors);
  if (Object.keys(errors).length > 0) return { errors };
  const hours = draft.quietFrom === "" ? [] : [{ from: draft.quietFrom, to: draft.quietTo, zone: draft.quietZone }];
  const interval = draft.interval === "" ? null : (draft.interval as Interval);
  const { kind: kindName, feed, severity, is_enabled } = draft;
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

function readParams(draft: Draft, kind: RuleKind, errors: DraftErrors): Record<string, RuleValue> {
  const params: Record<string, RuleValue> = {};
  for (const parameter of kind.params) {
    const text = (draft.params[parameter.name] ?? "").trim();
    if (text === "" && parameter.default === null) continue;
    if (parameter.kind === "number") {
      const value = Number(text);
      if (text === "" || !Number.isFinite(value)) errors[`params.${parameter.name}`] = "A number is needed.";
      params[parameter.name] = value;
    } else {
      params[parameter.name] = parameter.kind === "boolean" ? text === "true" : text;
    }
  }
  return params;
}

function readJson(text: string, errors: DraftErrors): Record<string, RuleValue> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, RuleValue>;
  } catch {
    // Told below, together with JSON that is no object.
  }
  errors["paramsJson"] = 'A JSON object, for example {"percent": 2}.';
  return {};
}
