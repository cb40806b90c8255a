import type { ApiProblem, SqlSchema } from "../../api/types";
import { Loading, Problem } from "../../parts/states";

interface Props {
  schema: SqlSchema | null;
  problem: ApiProblem | null;
  retry: () => void;
  onPick: (sql: string) => void;
}

/** Examples to begin with, and what can be asked. */
export function SchemaPanel({ schema, problem, retry, onPick }: Props) {
  return (
    <section class="panel schema" aria-label="Tables and examples">
      <div class="scroll grow" tabIndex={0} aria-label="Tables and examples">
        {problem !== null && <Problem problem={problem} retry={retry} />}
        {problem === null && schema === null && <Loading what="Reading the tables" />}
        {schema !== null && (
          <>
            <h2>Examples</h2>
            <ul class="examples">
              {schema.examples.map((example) => (
                <li key={example.title}>
                  <button type="button" onClick={() => onPick(example.sql)}>
                    {example.title}
                  </button>
                </li>
              ))}
            </ul>
            <h2>Tables</h2>
            {schema.tables.map((table) => (
              <details key={table.name}>
                <summary>
                  <code>{table.name}</code>
                </summary>
                {table.note && <p class="dim">{table.note}</p>}
                <ul>
                  {table.columns.map((column) => (
                    <li key={column.name}>
                      <code>{column.name}</code> <small>{column.type.toLowerCase()}</small>
                    </li>
                  ))}
                </ul>
              </details>
            ))}
          </>
        )}
      </div>
    </section>
  );
}
