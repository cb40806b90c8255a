import { useState } from "preact/hooks";
import { problemFrom } from "../../api/http";
import type { ApiProblem, Rule } from "../../api/types";
import { Dialog } from "../../parts/Dialog";
import { Problem } from "../../parts/states";
import { info, zone } from "../../state/info";
import { splitKey } from "../../state/market";
import { chosen } from "../../state/settings";
import { draftOf, emptyDraft, ruleOf, type Draft, type DraftErrors } from "./draft";
import { RuleFields } from "./RuleFields";
import { RuleTest } from "./RuleTest";
import { saveRule } from "./rules";

/** Writes a new rule, or changes one; a rule of the file can be read and tested only. */
export function RuleDialog({ rule, onClose }: { rule: Rule | null; onClose: () => void }) {
  const kinds = info.value?.rule_kinds ?? [];
  const [draft, setDraft] = useState<Draft>(() =>
    rule === null
      ? emptyDraft(kinds[0], splitKey(chosen.value).feed || "*", splitKey(chosen.value).symbol || "*", zone.value)
      : draftOf(rule, kinds.find((one) => one.kind === rule.kind), zone.value),
  );
  const [errors, setErrors] = useState<DraftErrors>({});
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  const isFromFile = rule?.source === "file";

  const read = (): Rule | null => {
    const kind = kinds.find((one) => one.kind === draft.kind);
    const answer = ruleOf(draft, kind, { quiet: rule?.quiet ?? [] });
    setErrors("errors" in answer ? answer.errors : {});
    return "rule" in answer ? answer.rule : null;
  };
  const save = async () => {
    const whole = read();
    if (whole === null) return;
    try {
      await saveRule(whole, rule?.name ?? null);
      onClose();
    } catch (error) {
      setProblem(problemFrom(error));
    }
  };
  return (
    <Dialog title={rule?.name ?? "New rule"} onClose={onClose} isWide>
      <form
        class="rule-form"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <fieldset disabled={isFromFile}>
          <legend class="hidden">Rule</legend>
          <RuleFields draft={draft} errors={errors} isNameFixed={rule !== null} onChange={setDraft} />
        </fieldset>
        {problem && <Problem problem={problem} />}
        {isFromFile ? (
          <p class="dim">This rule stands in ticktrail.toml; change it there.</p>
        ) : (
          <div class="row">
            <button type="submit" class="button primary">
              Save
            </button>
            <button type="button" class="button" onClick={onClose}>
              Cancel
            </button>
          </div>
        )}
      </form>
      <RuleTest read={read} />
    </Dialog>
  );
}
