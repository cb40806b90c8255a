"""The exchange's own log of what it sent: the witness that tests hold everything else against.

One row per delivery: a message handed to the sockets of subscribed clients (``recipients`` says how many),
or one that should have been and was not (``recipients`` 0; ``marks`` say why, if a fault did it). Per kind
one Arrow IPC stream, written about every second; after ``kill -9`` everything up to then can be read. It
shares no code with what reads, carries or stores the data elsewhere in ticktrail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticktrail.feeds.sim.messages import (
    CONDITIONS,
    E4,
    VENUES,
    Bar,
    Cancel,
    Correction,
    Event,
    Luld,
    Rows,
    Status,
)
from ticktrail.feeds.sim.universe import TAPES, Universe

__all__ = ["KINDS", "ExchangeLog", "read_log"]

_TEXT = pa.dictionary(pa.int16(), pa.string())
_COMMON = [("symbol", _TEXT), ("ts_event_ns", pa.int64())]
_DELIVERY = [("tape", _TEXT), ("sent_ns", pa.int64()), ("marks", pa.uint8()), ("recipients", pa.uint8())]

_SCHEMAS = {
    "trades": pa.schema(
        [
            *_COMMON,
            ("id", pa.int64()),
            ("price", pa.float64()),
            ("size", pa.int32()),
            ("venue", _TEXT),
            ("conditions", _TEXT),
            *_DELIVERY,
        ]
    ),
    "quotes": pa.schema(
        [
            *_COMMON,
            ("bid_price", pa.float64()),
            ("bid_size", pa.int32()),
            ("bid_venue", _TEXT),
            ("ask_price", pa.float64()),
            ("ask_size", pa.int32()),
            ("ask_venue", _TEXT),
            *_DELIVERY,
        ]
    ),
    "corrections": pa.schema(
        [
            ("action", pa.string()),  # "correct", "C" (cancel), "E" (error)
            *((name, pa.string() if kind == _TEXT else kind) for name, kind in _COMMON),
            ("venue", pa.string()),
            ("original_id", pa.int64()),
            ("original_price", pa.float64()),
            ("original_size", pa.int64()),
            ("corrected_id", pa.int64()),  # null in a cancel, as the two below
            ("corrected_price", pa.float64()),
            ("corrected_size", pa.int64()),
            ("conditions", pa.string()),  # null in a cancel
            *((name, pa.string() if kind == _TEXT else kind) for name, kind in _DELIVERY),
        ]
    ),
    "statuses": pa.schema(
        [
            *((name, pa.string() if kind == _TEXT else kind) for name, kind in _COMMON),
            ("code", pa.string()),  # null in new bands, as the three below
            ("text", pa.string()),
            ("reason_code", pa.string()),
            ("reason_text", pa.string()),
            ("limit_up", pa.float64()),  # null in a status, as the one below
            ("limit_down", pa.float64()),
            *((name, pa.string() if kind == _TEXT else kind) for name, kind in _DELIVERY),
        ]
    ),
    "bars": pa.schema(
        [
            ("kind", pa.string()),
            *((name, pa.string() if kind == _TEXT else kind) for name, kind in _COMMON),
            ("open", pa.float64()),
            ("high", pa.float64()),
            ("low", pa.float64()),
            ("close", pa.float64()),
            ("volume", pa.int64()),
            ("trades", pa.int64()),
            ("vwap", pa.float64()),
            *((name, pa.string() if kind == _TEXT else kind) for name, kind in _DELIVERY),
        ]
    ),
    # What happened on the wire besides messages: "started", "garbage" (detail: kind of garbage),
    # "disconnect", "silence", "slow_client", "log_full", "over".
    "faults": pa.schema(
        [("at_ns", pa.int64()), ("fault", pa.string()), ("detail", pa.string()), ("payload", pa.binary())]
    ),
}

KINDS = tuple(_SCHEMAS)

# Tapes A and B share their lists; a dictionary holds each text once.
_CONDITION_TEXTS = sorted({",".join(conditions) for conditions in CONDITIONS})
_CONDITION_PLACE = np.array(
    [_CONDITION_TEXTS.index(",".join(conditions)) for conditions in CONDITIONS], dtype=np.uint8
)

# Rows held before they are written even within a second: 1.5 MB, written in about 2 ms.
_ROWS_HELD_MAX = 32_768
_COMPRESSION = "lz4"

# (rows, marks, recipients, sent_ns)
_Delivered = tuple[Rows, npt.NDArray[np.uint8], npt.NDArray[np.uint8], int]


class ExchangeLog:
    """Appends to the files of one run. Not for use by two threads.

    Parameters
    ----------
    directory
        Made where it is missing. A later run in the same directory adds files of its own.
    universe
        What the symbol numbers mean.
    bytes_max
        All files together; beyond it nothing more is written, and the faults table says so.
    """

    def __init__(self, directory: Path, universe: Universe, bytes_max: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._universe = universe
        self._bytes_max = bytes_max
        self._bytes_written = 0
        run = 1 + max((_run_of(path) for path in directory.glob("*.arrows")), default=0)
        self._files: dict[str, BinaryIO] = {}
        self._writers: dict[str, pa.RecordBatchStreamWriter] = {}
        options = pa.ipc.IpcWriteOptions(compression=_COMPRESSION)
        for kind, schema in _SCHEMAS.items():
            # Unbuffered: what was written survives the death of this process.
            self._files[kind] = (directory / f"{kind}.{run:04d}.arrows").open("xb", buffering=0)
            self._writers[kind] = pa.ipc.new_stream(self._files[kind], schema, options=options)
        self._symbols = pa.array(universe.symbols)
        self._venues = pa.array(list(VENUES))
        self._tapes = pa.array(list(TAPES))
        self._conditions = pa.array(_CONDITION_TEXTS)
        self._held: dict[str, list[_Delivered]] = {"trades": [], "quotes": []}
        self._rows_held = 0
        self._records: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _SCHEMAS}
        self._is_full = False
        self._last_ns = 0

    def rows(
        self,
        kind: str,
        rows: Rows,
        marks: npt.NDArray[np.uint8],
        recipients: npt.NDArray[np.uint8],
        sent_ns: int,
    ) -> None:
        """Note deliveries of ``"trades"`` or ``"quotes"``, one per row; arrays of shape ``(n,)``."""
        self._last_ns = sent_ns
        self._held[kind].append((rows, marks, recipients, sent_ns))
        self._rows_held += len(rows)
        if self._rows_held >= _ROWS_HELD_MAX:
            self.flush()

    def event(self, event: Event, *, marks: int, recipients: int, sent_ns: int) -> None:
        """Note the delivery of a rare message."""
        kind, record = _record(event)
        self._records[kind].append(
            {
                "symbol": self._universe.symbols[event.symbol],
                "ts_event_ns": event.ts_event_ns,
                "tape": TAPES[self._universe.tape[event.symbol]],
                "sent_ns": sent_ns,
                "marks": marks,
                "recipients": recipients,
            }
            | record
        )

    def fault(self, at_ns: int, fault: str, detail: str = "", payload: bytes = b"") -> None:
        """Note what else happened on the wire."""
        self._records["faults"].append({"at_ns": at_ns, "fault": fault, "detail": detail, "payload": payload})

    def flush(self) -> None:
        """Write everything noted so far."""
        for kind, held in self._held.items():
            if held:
                self._write(kind, self._batch(kind, held))
            self._held[kind] = []
        self._rows_held = 0
        for kind, records in self._records.items():
            if records:
                self._write(kind, pa.RecordBatch.from_pylist(records, schema=_SCHEMAS[kind]))
            self._records[kind] = []

    def close(self) -> None:
        """Write what is left and close the files; safe to call twice."""
        self.flush()
        for kind, writer in self._writers.items():
            writer.close()
            self._files[kind].close()
        self._writers = {}

    def _write(self, kind: str, batch: pa.RecordBatch) -> None:
        if self._is_full or kind not in self._writers:
            return
        self._writers[kind].write_batch(batch)
        self._bytes_written = sum(file.tell() for file in self._files.values())
        if self._bytes_written > self._bytes_max:
            detail = f"{self._bytes_written} bytes"
            note = {"at_ns": self._last_ns, "fault": "log_full", "detail": detail, "payload": b""}
            self._writers["faults"].write_batch(pa.RecordBatch.from_pylist([note], schema=_SCHEMAS["faults"]))
            self._is_full = True

    def _batch(self, kind: str, held: list[_Delivered]) -> pa.RecordBatch:
        rows = np.concatenate([part[0] for part in held])
        symbol = rows["symbol"].astype(np.int16)
        columns: dict[str, Any] = {
            "symbol": pa.DictionaryArray.from_arrays(symbol, self._symbols),
            "ts_event_ns": rows["ts_event_ns"],
            "tape": _named(self._universe.tape[rows["symbol"]], self._tapes),
            "sent_ns": np.repeat([part[3] for part in held], [len(part[0]) for part in held]),
            "marks": np.concatenate([part[1] for part in held]),
            "recipients": np.concatenate([part[2] for part in held]),
        }
        if kind == "trades":
            columns |= {
                "id": rows["id"],
                "price": rows["price_e4"] / E4,
                "size": rows["size"],
                "venue": _named(rows["venue"], self._venues),
                "conditions": _named(_CONDITION_PLACE[rows["conditions"]], self._conditions),
            }
        else:
            for side in ("bid", "ask"):
                columns[f"{side}_price"] = rows[f"{side}_e4"] / E4
                columns[f"{side}_size"] = rows[f"{side}_size"]
                columns[f"{side}_venue"] = _named(rows[f"{side}_venue"], self._venues)
        schema = _SCHEMAS[kind]
        return pa.record_batch([pa.array(columns[name]) for name in schema.names], schema=schema)


def read_log(directory: Path | str, *, sent_only: bool = False) -> dict[str, pa.Table]:
    """Read all runs of a directory, also while they are written or after the exchange was killed.

    Parameters
    ----------
    directory
        `SimSettings.log_dir`.
    sent_only
        Leave out what was handed to nobody.

    Returns
    -------
    A table per name of `KINDS`, rows in the order of delivery. Texts of trades and quotes are dictionaries.
    """
    tables: dict[str, pa.Table] = {}
    for kind, schema in _SCHEMAS.items():
        batches = [
            batch for path in sorted(Path(directory).glob(f"{kind}.*.arrows")) for batch in _batches(path)
        ]
        table = pa.Table.from_batches(batches, schema=schema).unify_dictionaries()
        if sent_only and "recipients" in schema.names:
            table = table.filter(pc.greater(table["recipients"], 0))
        tables[kind] = table
    return tables


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    # A torn last batch, or no end mark: what a killed writer leaves behind.
    with pa.memory_map(str(path)) as source, contextlib.suppress(pa.ArrowInvalid, OSError):
        yield from pa.ipc.open_stream(source)


def _named(index: npt.NDArray[np.uint8], names: pa.Array) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(index.astype(np.int16), names)


def _run_of(path: Path) -> int:
    return int(path.name.split(".")[1])


def _record(event: Event) -> tuple[str, dict[str, Any]]:
    match event:
        case Correction():
            return "corrections", {
                "action": "correct",
                "venue": VENUES[event.venue],
                "original_id": event.original_id,
                "original_price": event.original_price_e4 / E4,
                "original_size": event.original_size,
                "corrected_id": event.corrected_id,
                "corrected_price": event.corrected_price_e4 / E4,
                "corrected_size": event.corrected_size,
                "conditions": ",".join(CONDITIONS[event.conditions]),
            }
        case Cancel():
            return "corrections", {
                "action": event.action,
                "venue": VENUES[event.venue],
                "original_id": event.id,
                "original_price": event.price_e4 / E4,
                "original_size": event.size,
            }
        case Status():
            return "statuses", {
                "code": event.code,
                "text": event.text,
                "reason_code": event.reason_code,
                "reason_text": event.reason_text,
            }
        case Luld():
            return "statuses", {"limit_up": event.up_e4 / E4, "limit_down": event.down_e4 / E4}
        case Bar():
            names = ("kind", "open", "high", "low", "close", "volume", "trades", "vwap")
            return "bars", {name: getattr(event, name) for name in names}
    raise AssertionError(f"no log for {type(event).__name__}")
