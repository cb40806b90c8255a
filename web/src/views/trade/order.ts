import type { Row } from "../../api/types";
import { keyOf } from "../../state/market";
import type { Sort } from "../../state/settings";

function compareRows(a: Row, b: Row, { column, isDescending }: Sort): number {
  const sign = isDescending ? -1 : 1;
  if (column === "symbol") return sign * a.symbol.localeCompare(b.symbol);
  const left = a[column];
  const right = b[column];
  // What is not known stays below, whichever way the rest is sorted.
  if (left === null || right === null) return Number(left === null) - Number(right === null);
  return sign * (left - right);
}

/** The keys of the rows that match `search`, in the order of `sort`; symbols that begin with it come first. */
export function orderRows(rows: Iterable<Row>, search: string, sort: Sort): string[] {
  const text = search.trim().toUpperCase();
  const found = [...rows].filter((row) => row.symbol.toUpperCase().includes(text));
  const begins = (row: Row) => Number(text !== "" && !row.symbol.toUpperCase().startsWith(text));
  found.sort((a, b) => begins(a) - begins(b) || compareRows(a, b, sort) || a.symbol.localeCompare(b.symbol));
  return found.map(keyOf);
}
