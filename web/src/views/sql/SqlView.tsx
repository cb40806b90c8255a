import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, problemFrom } from "../../api/http";
import type { ApiProblem, SqlSchema } from "../../api/types";
import { milliseconds, whole } from "../../format/numbers";
import { Empty, Problem } from "../../parts/states";
import { may } from "../../state/info";
import { query } from "../../state/settings";
import { openEditor, type SqlEditor } from "./editor";
import { QuickChart } from "./QuickChart";
import { cancel, download, downloadProblem, execute, run, type Run } from "./query";
import { ResultTable } from "./ResultTable";
import { SchemaPanel } from "./SchemaPanel";
import "../../styles/sql.css";

const isCharted = signal(false);

export default function SqlView() {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<SqlEditor | null>(null);
  const [schema, setSchema] = useState<SqlSchema | null>(null);
  const [problem, setProblem] = useState<ApiProblem | null>(null);
  useEffect(() => {
    if (host.current === null) return;
    const opened = openEditor(host.current, query.value, (text) => (query.value = text), () => void execute());
    editor.current = opened;
    return () => opened.view.destroy();
  }, []);
  const loadSchema = () => {
    get<SqlSchema>("sql/schema").then(
      (answer) => {
        setSchema(answer);
        setProblem(null);
        editor.current?.setSchema(answer);
      },
      (error: unknown) => setProblem(problemFrom(error)),
    );
  };
  useEffect(loadSchema, []);
  return (
    <div class="sql">
      <h1 class="hidden">SQL</h1>
      <SchemaPanel
        schema={schema}
        problem={problem}
        retry={loadSchema}
        onPick={(text) => {
          editor.current?.setText(text);
          editor.current?.view.focus();
        }}
      />
      <section class="panel editor-panel" aria-label="Editor">
        <div class="editor grow" ref={host} />
        <RunBar />
      </section>
      <section class="panel result-panel" aria-label="Result">
        <ResultBar />
        <Result run={run.value} />
      </section>
    </div>
  );
}

function RunBar() {
  const isRunning = run.value.state === "running";
  return (
    <div class="panel-foot row">
      <button type="button" class="button primary" disabled={isRunning || !may("sql")} onClick={() => void execute()}>
        Run
      </button>
      <button type="button" class="button" disabled={!isRunning} onClick={cancel}>
        Cancel
      </button>
      <span class="dim">{may("sql") ? "Ctrl Enter runs. Read only; give a symbol and a range of time." : "This token may not ask SQL."}</span>
    </div>
  );
}

function ResultBar() {
  const current = run.value;
  if (current.state !== "done") return null;
  const { answer } = current;
  return (
    <div class="panel-bar" role="status">
      <span class="num">
        {whole(answer.rows_count)} rows in {milliseconds(answer.elapsed_ms)}
      </span>
      {answer.is_truncated && <span class="badge warning">only the first rows; download for more</span>}
      {downloadProblem.value && <span class="badge critical">{downloadProblem.value.what}</span>}
      <div class="segments push" role="group" aria-label="Show as">
        <button type="button" aria-pressed={!isCharted.value} onClick={() => (isCharted.value = false)}>Table</button>
        <button type="button" aria-pressed={isCharted.value} onClick={() => (isCharted.value = true)}>Chart</button>
      </div>
      <button type="button" class="button" onClick={() => void download(current, "csv")}>CSV</button>
      <button type="button" class="button" onClick={() => void download(current, "arrow")}>Arrow</button>
    </div>
  );
}

function Result({ run: current }: { run: Run }) {
  switch (current.state) {
    case "none":
      return <Empty title="No query has run">Write one above, or begin with an example.</Empty>;
    case "running":
      return <Running since_ms={current.since_ms} />;
    case "cancelled":
      return <Empty title="Cancelled">Nothing was read further.</Empty>;
    case "failed":
      return (
        <>
          <Problem problem={current.problem} />
          {current.isUnbounded && (
            <p class="centred">
              <button type="button" class="button" onClick={() => void execute(true)}>
                Scan everything anyway
              </button>
            </p>
          )}
        </>
      );
    case "done":
      if (current.answer.rows.length === 0) return <Empty title="No rows">The query ran; nothing matches it.</Empty>;
      return isCharted.value ? <QuickChart answer={current.answer} /> : <ResultTable answer={current.answer} />;
  }
}

function Running({ since_ms }: { since_ms: number }) {
  const [now_ms, setNow] = useState(performance.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(performance.now()), 100);
    return () => clearInterval(timer);
  }, []);
  return (
    <div class="state" role="status">
      <span class="spinner" aria-hidden="true" />
      <p>
        Running <span class="num" aria-hidden="true">{((now_ms - since_ms) / 1000).toFixed(1)} s</span>
      </p>
    </div>
  );
}
