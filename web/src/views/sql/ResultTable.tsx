import { useRef } from "preact/hooks";
import type { Cell, SqlAnswer } from "../../api/types";
import { useRowWindow } from "../../parts/window";

const ROW_PX = 26;

export function isNumeric(type: string): boolean {
  return /INT|DOUBLE|FLOAT|REAL|DECIMAL|NUMERIC/i.test(type) && !/\[|<|STRUCT|MAP|LIST|INTERVAL/i.test(type);
}

function shown(value: Cell): string {
  return value === null ? "null" : String(value);
}

/** All rows of a result, drawn only where looked at. */
export function ResultTable({ answer }: { answer: SqlAnswer }) {
  const box = useRef<HTMLDivElement>(null);
  const { columns, rows } = answer;
  const { from, to } = useRowWindow(box, rows.length, ROW_PX);
  const kinds = columns.map((column) => (isNumeric(column.type) ? "num" : ""));
  return (
    <div class="scroll grow" ref={box} tabIndex={0} aria-label="Result">
      <table class="result" aria-rowcount={rows.length + 1}>
        <thead>
          <tr>
            <th scope="col" class="num">
              <span class="hidden">Row</span>
            </th>
            {columns.map((column, i) => (
              <th key={i} scope="col" class={kinds[i]} title={column.type}>
                {column.name} <small>{column.type.toLowerCase()}</small>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {from > 0 && <tr aria-hidden="true" style={{ height: from * ROW_PX }} />}
          {rows.slice(from, to).map((row, i) => (
            <tr key={from + i} aria-rowindex={from + i + 2} class="result-row">
              <td class="num dim">{from + i + 1}</td>
              {row.map((value, column) => (
                <td key={column} class={`${kinds[column]} ${value === null ? "dim" : ""}`}>
                  {shown(value)}
                </td>
              ))}
            </tr>
          ))}
          {to < rows.length && <tr aria-hidden="true" style={{ height: (rows.length - to) * ROW_PX }} />}
        </tbody>
      </table>
    </div>
  );
}
