import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Rule } from "../../api/types";
import { moment, span } from "../../format/times";
import { Dialog } from "../../parts/Dialog";
import { Empty, Loading, Problem } from "../../parts/states";
import { info, may, zone } from "../../state/info";
import { parameterTitle } from "./draft";
import { RuleDialog } from "./RuleDialog";
import { deleteRule, enableRule, loadRules, muteRule, rules, rulesProblem } from "./rules";

const HOUR_NS = 3_600e9;

/** The rule that is being written: "new", one that exists, or none. */
const edited = signal<Rule | "new" | null>(null);
const doomed = signal<Rule | null>(null);

export function Rules() {
  useEffect(() => void loadRules(), []);
  const known = rules.value;
  return (
    <section class="panel rules" aria-label="Rules">
      <header class="panel-bar">
        <h2>Rules</h2>
        {may("alerts") && (
          <button type="button" class="button primary" onClick={() => (edited.value = "new")}>
            New rule
          </button>
        )}
      </header>
      <div class="scroll grow" tabIndex={0} aria-label="Rules">
        {rulesProblem.value && <Problem problem={rulesProblem.value} retry={() => void loadRules()} />}
        {known === null && rulesProblem.value === null && <Loading what="Reading rules" />}
        {known?.length === 0 && (
          <Empty title="No rules yet">
            Make one here, or write it into <code>ticktrail.toml</code>.
          </Empty>
        )}
        <ul>
          {known?.map((rule) => (
            <RuleItem key={rule.name} rule={rule} />
          ))}
        </ul>
      </div>
      {edited.value !== null && (
        <RuleDialog rule={edited.value === "new" ? null : edited.value} onClose={() => (edited.value = null)} />
      )}
      {doomed.value && <DeleteDialog rule={doomed.value} />}
    </section>
  );
}

function RuleItem({ rule }: { rule: Rule }) {
  const muted_ns = rule.muted_until_ns ?? 0;
  const isMuted = muted_ns > Date.now() * 1e6;
  const isOwn = rule.source === "page";
  return (
    <li class="rule">
      <div class="row">
        <b>{rule.name}</b>
        <span class={`badge ${rule.severity}`}>{rule.severity}</span>
        {!rule.is_enabled && <span class="badge">off</span>}
        {isMuted && <span class="badge">muted until {moment(muted_ns, zone.value)}</span>}
        {!isOwn && <span class="badge" title="Written in ticktrail.toml: change it there">from file</span>}
      </div>
      <p class="dim">{describe(rule)}</p>
      {may("alerts") && (
        <div class="row">
          <button type="button" class="button" onClick={() => void muteRule(rule, isMuted ? null : Date.now() * 1e6 + HOUR_NS)}>
            {isMuted ? "Unmute" : "Mute 1 h"}
          </button>
          <button type="button" class="button" onClick={() => (edited.value = rule)}>
            {isOwn ? "Edit or test" : "Show or test"}
          </button>
          {isOwn && (
            <button type="button" class="button" onClick={() => void enableRule(rule, !rule.is_enabled)}>
              {rule.is_enabled ? "Switch off" : "Switch on"}
            </button>
          )}
          {isOwn && (
            <button type="button" class="button danger" onClick={() => (doomed.value = rule)}>
              Delete
            </button>
          )}
        </div>
      )}
    </li>
  );
}

function describe(rule: Rule): string {
  const kind = info.value?.rule_kinds.find((one) => one.kind === rule.kind);
  const params = Object.entries(rule.params).map(([name, value]) => {
    const unit = kind?.params.find((one) => one.name === name)?.unit ?? "";
    return `${parameterTitle(name)} ${value} ${unit}`.trim();
  });
  const symbols = rule.symbols.includes("*") ? "all symbols" : rule.symbols.join(", ");
  return [
    rule.kind.replaceAll("_", " "),
    ...params,
    `${symbols} of ${rule.feed === "*" ? "all feeds" : rule.feed}`,
    `at most once in ${span(rule.cooldown_s * 1e9)}`,
    ...rule.quiet.map((hours) => `quiet ${hours.from}–${hours.to}`),
    ...(rule.notify.length > 0 ? [`tells ${rule.notify.join(", ")}`] : []),
  ].join(" · ");
}

function DeleteDialog({ rule }: { rule: Rule }) {
  const close = () => (doomed.value = null);
  return (
    <Dialog title={`Delete ${rule.name}?`} onClose={close}>
      <p>It fires no more. Its alerts stay in the history.</p>
      <div class="row">
        <button
          type="button"
          class="button danger"
          onClick={() => {
            void deleteRule(rule);
            close();
          }}
        >
          Delete
        </button>
        <button type="button" class="button" onClick={close}>
          Keep
        </button>
      </div>
    </Dialog>
  );
}
