import type { ComponentChildren } from "preact";
import type { Interval, RuleParameter, Severity } from "../../api/types";
import { info } from "../../state/info";
import { defaultsOf, parameterTitle, type Draft, type DraftErrors } from "./draft";

const SEVERITIES: Severity[] = ["info", "warning", "critical"];

interface Props {
  draft: Draft;
  errors: DraftErrors;
  /** The name is what the rule is known by, and cannot change. */
  isNameFixed: boolean;
  onChange: (draft: Draft) => void;
}

export function RuleFields({ draft, errors, isNameFixed, onChange }: Props) {
  const kinds = info.value?.rule_kinds ?? [];
  const kind = kinds.find((one) => one.kind === draft.kind);
  const set = (change: Partial<Draft>) => onChange({ ...draft, ...change });
  const text = (name: "symbols" | "cooldown_s" | "hysteresis" | "notify" | "name", extra: object = {}) => (
    <input class="input" value={draft[name]} aria-invalid={name in errors} onInput={(event) => set({ [name]: event.currentTarget.value })} {...extra} />
  );
  return (
    <div class="fields">
      <Field label="Name" error={errors["name"]}>{text("name", { disabled: isNameFixed, required: true, autofocus: true })}</Field>
      <Field label="Kind" note={kind?.note}>
        <select
          class="input"
          value={draft.kind}
          onChange={(event) => {
            const next = event.currentTarget.value;
            set({ kind: next, params: defaultsOf(kinds.find((one) => one.kind === next)) });
          }}
        >
          {kinds.map(({ kind: name }) => (
            <option key={name} value={name}>{name.replaceAll("_", " ")}</option>
          ))}
        </select>
      </Field>
      {kind?.params.map((parameter) => (
        <Field
          key={parameter.name}
          label={`${parameterTitle(parameter.name)}${parameter.unit ? ` (${parameter.unit})` : ""}`}
          note={parameter.note}
          error={errors[`params.${parameter.name}`]}
        >
          <ParameterInput
            parameter={parameter}
            value={draft.params[parameter.name] ?? ""}
            isWrong={`params.${parameter.name}` in errors}
            onInput={(value) => set({ params: { ...draft.params, [parameter.name]: value } })}
          />
        </Field>
      ))}
      <Field label="Symbols" note={symbolsNote()} error={errors["symbols"]}>{text("symbols")}</Field>
      <Field label="Feed">
        <select class="input" value={draft.feed} onChange={(event) => set({ feed: event.currentTarget.value })}>
          <option value="*">all feeds</option>
          {info.value?.feeds.map(({ feed }) => <option key={feed} value={feed}>{feed}</option>)}
        </select>
      </Field>
      <Field label="Severity">
        <select class="input" value={draft.severity} onChange={(event) => set({ severity: event.currentTarget.value as Severity })}>
          {SEVERITIES.map((severity) => <option key={severity} value={severity}>{severity}</option>)}
        </select>
      </Field>
      {kind?.source === "bars" && (
        <Field label="Interval of bars">
          <select class="input" value={draft.interval} onChange={(event) => set({ interval: event.currentTarget.value as Interval })}>
            {info.value?.intervals.map((one) => <option key={one} value={one}>{one}</option>)}
          </select>
        </Field>
      )}
      <Field label="Cool-down (s)" note="Silent this long after it fired" error={errors["cooldown_s"]}>{text("cooldown_s", { inputMode: "numeric" })}</Field>
      <Field label={`Hysteresis${kind?.unit ? ` (${kind.unit})` : ""}`} note="How far back before it may fire again" error={errors["hysteresis"]}>{text("hysteresis", { inputMode: "decimal" })}</Field>
      <Field label={`Quiet hours (${draft.quietZone})`} error={errors["quiet"]}>
        <span class="row">
          <input class="input" type="time" aria-label="Quiet from" value={draft.quietFrom} onInput={(event) => set({ quietFrom: event.currentTarget.value })} />
          to
          <input class="input" type="time" aria-label="Quiet to" value={draft.quietTo} onInput={(event) => set({ quietTo: event.currentTarget.value })} />
        </span>
      </Field>
      <Field label="Tell" note={notifierNote()}>{text("notify")}</Field>
    </div>
  );
}

function symbolsNote(): string {
  const lists = info.value?.watchlists ?? [];
  const named = lists.length > 0 ? `, or ${lists.join(", ")}` : "";
  return `With commas between; * for all${named}`;
}

function notifierNote(): string {
  const names = info.value?.notifiers ?? [];
  return names.length > 0 ? `Names, with commas between: ${names.join(", ")}` : "Names of notifiers of ticktrail.toml";
}

interface FieldProps {
  label: string;
  note?: string | undefined;
  error?: string | undefined;
  children: ComponentChildren;
}

function Field({ label, note, error, children }: FieldProps) {
  return (
    <label class="field">
      <span class="field-label">{label}</span>
      {children}
      {error ? <span class="field-error" role="alert">{error}</span> : note && <small>{note}</small>}
    </label>
  );
}

interface ParameterProps {
  parameter: RuleParameter;
  value: string;
  isWrong: boolean;
  onInput: (value: string) => void;
}

function ParameterInput({ parameter, value, isWrong, onInput }: ParameterProps) {
  if (parameter.kind === "choice") {
    return (
      <select class="input" value={value} aria-invalid={isWrong} onChange={(event) => onInput(event.currentTarget.value)}>
        {parameter.default === null && <option value="">{parameter.is_required ? "choose" : "none"}</option>}
        {parameter.choices.map((choice) => <option key={choice} value={choice}>{choice}</option>)}
      </select>
    );
  }
  return (
    <input
      class="input"
      inputMode={parameter.kind === "number" ? "decimal" : "text"}
      value={value}
      aria-invalid={isWrong}
      onInput={(event) => onInput(event.currentTarget.value)}
    />
  );
}
