import { expect, it } from "vitest";
import type { Rule, RuleKind } from "../src/api/types";
import { draftOf, emptyDraft, ruleOf } from "../src/views/alerts/draft";

const KIND: RuleKind = {
  kind: "percent_move",
  note: "",
  source: "trades",
  unit: "%",
  params: [
    { name: "percent", kind: "number", default: null, is_required: true, unit: "%", choices: [], note: "" },
    { name: "causes", kind: "list", default: [], is_required: false, unit: "", choices: [], note: "" },
    { name: "direction", kind: "choice", default: "either", is_required: false, unit: "", choices: ["up", "down", "either"], note: "" },
  ],
};
const RULE: Rule = {
  name: "big move",
  kind: "percent_move",
  feed: "sim",
  symbols: ["AAPL", "BRK.A"],
  params: { percent: 2.5, causes: ["disconnect", "silence"], direction: "up" },
  interval: "5m",
  cooldown_s: 60,
  hysteresis: 0.5,
  quiet: [
    { from: "22:00", to: "07:00", zone: "America/New_York" },
    { from: "12:00", to: "13:00", zone: "UTC" },
  ],
  severity: "critical",
  notify: ["desk"],
  is_enabled: true,
  source: "page",
};

it("a rule that is opened and saved is the same, even what the form does not show", () => {
  expect(ruleOf(draftOf(RULE, KIND, "UTC"), KIND, RULE)).toEqual({ rule: RULE });
});

it("each wrong field is named", () => {
  const draft = { ...emptyDraft(KIND, "sim", "*", "UTC"), symbols: " ", cooldown_s: "-1", quietFrom: "22:00", params: { percent: "two" } };
  const answer = ruleOf(draft, KIND, { quiet: [] });
  expect("errors" in answer && Object.keys(answer.errors).sort()).toEqual(["cooldown_s", "name", "params.percent", "quiet", "symbols"]);
});

it("a parameter that is needed and missing is named", () => {
  const answer = ruleOf({ ...emptyDraft(KIND, "sim", "AAPL", "UTC"), name: "moves" }, KIND, { quiet: [] });
  expect("errors" in answer && Object.keys(answer.errors)).toEqual(["params.percent"]);
});
