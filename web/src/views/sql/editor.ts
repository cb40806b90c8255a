import { autocompletion, closeBrackets, completeFromList, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { PostgreSQL, sql } from "@codemirror/lang-sql";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { SqlSchema } from "../../api/types";

// Colours by the page's variables: the editor follows the theme without being told.
const COLOURS = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--up)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--warning)" },
  { tag: [tags.comment], color: "var(--text-2)", fontStyle: "italic" },
  { tag: [tags.typeName, tags.standard(tags.name)], color: "var(--series-3)" },
]);

const LOOK = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", backgroundColor: "transparent" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--text-1)" },
  ".cm-cursor": { borderLeftColor: "var(--text-1)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--text-2)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--session)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "var(--accent-ground)",
  },
  ".cm-placeholder": { color: "var(--text-2)" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line-strong)", color: "var(--text-1)" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--accent-ground)", color: "var(--text-1)" },
});

export interface SqlEditor {
  view: EditorView;
  setText(text: string): void;
  setSchema(schema: SqlSchema): void;
}

/**
 * Opens an editor in `host`, inside a shadow root: there the editor's styles are a constructed sheet, while in
 * the document they would be an inline one, which the page's policy forbids. Completion knows tables and columns once
 * the schema is set.
 */
export function openEditor(host: HTMLElement, text: string, onChange: (text: string) => void, run: () => void): SqlEditor {
  const language = new Compartment();
  const root = host.attachShadow({ mode: "open" });
  const view = new EditorView({
    parent: root,
    root,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false }),
        syntaxHighlighting(COLOURS),
        LOOK,
        placeholder("SELECT …   (Ctrl Enter runs, Escape then Tab leaves)"),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "SQL" }),
        keymap.of([
          { key: "Mod-Enter", run: () => (run(), true) },
          ...completionKeymap,
          ...defaultKeymap,
          ...historyKeymap,
          indentWithTab,
        ]),
        language.of(sql({ dialect: PostgreSQL })),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) onChange(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    view,
    setText: (next) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } }),
    setSchema: (schema) => view.dispatch({ effects: language.reconfigure(languageOf(schema)) }),
  };
}

function languageOf(schema: SqlSchema) {
  const columns = Object.fromEntries(
    schema.tables.map((table) => [table.name, table.columns.map((one) => ({ label: one.name, detail: one.type }))]),
  );
  const functions = schema.functions.map((name) => ({ label: name, type: "function", apply: `${name}(` }));
  return [
    // DuckDB's grammar is Postgres' with additions.
    sql({ dialect: PostgreSQL, schema: columns, upperCaseKeywords: true }),
    PostgreSQL.language.data.of({ autocomplete: completeFromList(functions) }),
  ];
}
