"""Frames of files to records: pure, whatever the bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ticktrail.feeds.base import Frame, Parsed, Rejected, Subscription
from ticktrail.feeds.file.captures import BAD_LINE, rejected_line
from ticktrail.feeds.file.config import FileSettings, RowKind
from ticktrail.feeds.file.delimited import parse_csv
from ticktrail.feeds.file.lean import parse_lean
from ticktrail.feeds.file.order import time_order
from ticktrail.feeds.file.parquet import parse_parquet
from ticktrail.feeds.file.section import Block, read_blocks
from ticktrail.feeds.unknown import UnknownCounts
from ticktrail.model import Columns

__all__ = ["Parser", "parse_captured", "parse_rows"]

Parser = Callable[[Sequence[Frame]], Parsed]

_KINDS: tuple[RowKind, ...] = ("trades", "quotes")


def parse_rows(frames: Sequence[Frame], settings: FileSettings, subscription: Subscription) -> Parsed:
    """Read frames of LEAN, CSV and Parquet files.

    Every row is a record, a `Rejected`, or counted in `unknown`: ``line:blank``, and
    ``filtered:symbol`` for rows of symbols that were not asked for.
    """
    blocks: list[Block] = []
    rejected: list[Rejected] = []
    for index, frame in enumerate(frames):
        found = read_blocks(index, frame)
        if isinstance(found, Rejected):
            rejected.append(found)
        else:
            blocks += found
    unknown = UnknownCounts()
    columns: list[Columns[Any]] = []
    for kind in _KINDS:
        parts = []
        of_kind = [block for block in blocks if block.section.kind == kind]
        if lean := [block for block in of_kind if block.section.format == "lean"]:
            parsed = parse_lean(kind, lean, settings.feed_name, unknown)
            rejected += parsed.rejected
            if parsed.columns is not None:
                parts.append(parsed.columns)
        if tables := [block for block in of_kind if block.section.format != "lean"]:
            table_columns, bad = _parse_tables(tables, settings, subscription, unknown)
            rejected += bad
            parts += table_columns
        if parts:
            columns.append(Columns.concat(parts))
    return Parsed(columns=tuple(columns), rejected=tuple(rejected), unknown=unknown.to_dict())


def parse_captured(frames: Sequence[Frame], parser: Parser) -> Parsed:
    """Let the captured feed's own parser read its frames; account for lines that held none."""
    bad = [rejected_line(frame) for frame in frames if frame.origin.startswith(BAD_LINE)]
    parsed = parser([frame for frame in frames if not frame.origin.startswith(BAD_LINE)])
    return Parsed(
        columns=parsed.columns,
        rejected=(*bad, *parsed.rejected),
        unknown=parsed.unknown,
        # What the venue said about that connection then is no reason to stop reading now.
        notices=(),
    )


def _parse_tables(
    blocks: Sequence[Block], settings: FileSettings, subscription: Subscription, unknown: UnknownCounts
) -> tuple[list[Columns[Any]], list[Rejected]]:
    """Read CSV and Parquet blocks of one kind; at most one `Columns`, in the order of frames and time."""
    context = (settings, frozenset(subscription.symbols), unknown)
    parts: list[Columns[Any]] = []
    frame_of = []
    rejected: list[Rejected] = []
    for block in blocks:
        parse = parse_csv if block.section.format == "csv" else parse_parquet
        parsed = parse(block.section, block.payload, context)
        rejected += parsed.rejected
        if parsed.columns is not None:
            parts.append(parsed.columns)
            frame_of.append(np.full(len(parsed.columns), block.frame))
    if not parts:
        return [], rejected
    joined = Columns.concat(parts)
    order = time_order(np.concatenate(frame_of), joined["ts_event_ns"])
    return [joined if order is None else joined.take(order)], rejected
