"""Messages of one kind on their way to columns: shared columns, and the checks that need whole columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from ticktrail.feeds.alpaca import wire
from ticktrail.feeds.alpaca.decode import Decoded
from ticktrail.feeds.base import Rejected
from ticktrail.feeds.decimals import rounded_rows
from ticktrail.feeds.text import distinct_codes, fits_column, text_column
from ticktrail.feeds.timestamps import in_range
from ticktrail.model import Array, Flag
from ticktrail.model.conditions import is_known_condition, sale_condition_flags
from ticktrail.model.venues import CODES, MIC_OF_LETTER
from ticktrail.reference import trading_days

__all__ = ["ZONE", "Batch"]

ZONE = "America/New_York"

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_MIC_OF_CODE = text_column([mic for mic, _ in sorted(CODES.items(), key=lambda item: item[1])])
_CODE_OF_LETTER = {letter: CODES[mic] for letter, mic in MIC_OF_LETTER.items()} | {"": 0, " ": 0}


class Batch:
    """Messages of one kind, in order; rows that turn out bad are dropped and accounted for.

    Parameters
    ----------
    feed
        The feed's name.
    messages
        Of one kind, or of kinds with the same fields.
    rows
        Their positions among all messages, shape ``(n,)``.
    ts_event_ns, ts_recv_ns
        Their times, shape ``(n,)``; a receive time of 0 stands for none.
    decoded
        Takes what is rejected and what is unknown.
    encode
        Writes a message as the venue would.
    """

    def __init__(
        self,
        feed: str,
        messages: list[Any],
        rows: npt.NDArray[np.intp],
        times_ns: tuple[IntArray, IntArray],
        decoded: Decoded,
        encode: Callable[[wire.Message], bytes],
    ) -> None:
        self.feed = feed
        self.messages = messages
        self.rows = rows
        self.ts_event_ns, self.ts_recv_ns = times_ns
        self.unknown = decoded.unknown
        self._rejected = decoded.rejected
        self._encode = encode
        symbols, self._symbol_codes = distinct_codes(self.values("symbol"))
        fits = np.array([fits_column(symbol) for symbol in symbols], np.bool_)
        self._symbols = text_column([text if fit else "" for text, fit in zip(symbols, fits, strict=True)])
        self.drop(~in_range(self.ts_event_ns), "bad_time")
        self.drop(~fits[self._symbol_codes], "bad_text")

    def __len__(self) -> int:
        return len(self.messages)

    def drop(self, unfit: npt.NDArray[np.bool_], reason: str) -> None:
        """Reject the marked messages, shape ``(n,)``, and keep the others."""
        if not unfit.any():
            return
        for row in np.flatnonzero(unfit).tolist():
            payload = self._encode(self.messages[row])
            self._rejected.append(Rejected(payload, reason, f"message {type(self.messages[row]).__name__}"))
        kept = ~unfit
        self.messages = [self.messages[row] for row in np.flatnonzero(kept).tolist()]
        self.rows = self.rows[kept]
        self._symbol_codes = self._symbol_codes[kept]
        self.ts_event_ns = self.ts_event_ns[kept]
        self.ts_recv_ns = self.ts_recv_ns[kept]

    def values(self, name: str) -> list[Any]:
        """Gather one field of all messages."""
        return list(map(attrgetter(name), self.messages))

    def floats(self, name: str) -> FloatArray:
        """Gather a number of all messages. Shape ``(n,)``."""
        return np.fromiter(map(attrgetter(name), self.messages), np.float64, len(self))

    def integers(self, name: str) -> IntArray:
        """Gather a whole number of all messages. Shape ``(n,)``."""
        return np.fromiter(map(attrgetter(name), self.messages), np.int64, len(self))

    def common(self) -> dict[str, Any]:
        """Build the columns that all events share."""
        no_recv_time = self.ts_recv_ns == 0
        return {
            "feed": self.feed,
            "symbol": self._symbols[self._symbol_codes],
            "day": trading_days(self.ts_event_ns, ZONE),
            "ts_ns": self.ts_event_ns,
            "ts_event_ns": self.ts_event_ns,
            "ts_recv_ns": np.where(no_recv_time, self.ts_event_ns, self.ts_recv_ns),
            "flags": no_recv_time * np.int32(Flag.NO_RECV_TIME),
        }

    def tape_columns(self, conditions: str | None, *, of_sale: bool) -> dict[str, Any]:
        """Build the columns of tape and conditions, and the flags that follow from them.

        The work is done once per distinct combination, of which a batch holds few. Must come before
        other columns are built, since it may drop messages.

        Parameters
        ----------
        conditions
            The field with the conditions; None where the message has none.
        of_sale
            Whether these are sale conditions, which give flags and are checked against the tape's rules.
        """
        names = ("tape", conditions) if conditions else ("tape", "tape")
        keys, codes = distinct_codes(map(attrgetter(*names), self.messages))
        texts = [",".join(marks or ()) if conditions else "" for _, marks in keys]
        unfit = [
            not (fits_column(key[0]) and fits_column(text)) for key, text in zip(keys, texts, strict=True)
        ]
        if any(unfit):
            self.drop(np.array(unfit)[codes], "bad_text")
            return self.tape_columns(conditions, of_sale=of_sale)
        columns = {"tape": text_column([key[0] for key in keys])[codes]}
        if conditions:
            columns["conditions"] = text_column(texts)[codes]
        if of_sale:
            flags = [sale_condition_flags(key[0], text) for key, text in zip(keys, texts, strict=True)]
            columns["flags"] = np.array(flags, np.int32)[codes]
            self._count_unknown_conditions(keys, codes)
        return columns

    def venues(self, name: str) -> tuple[Array, npt.NDArray[np.uint8]]:
        """Build the column of a venue, as MICs, and that of its code for event ids.

        Letters that no tape defines are counted; their MIC is empty.
        """
        letters, codes = distinct_codes(self.values(name))
        for index, letter in enumerate(letters):
            if letter not in _CODE_OF_LETTER:
                self.unknown.add("venue", letter, count=int((codes == index).sum()))
        table = np.array([_CODE_OF_LETTER.get(letter, 0) for letter in letters], np.uint8)
        return _MIC_OF_CODE[table[codes]], table[codes]

    def rounded_flags(self, kind: str, numbers: Sequence[FloatArray]) -> npt.NDArray[np.int32]:
        """Flag, and count, the rows where one of the numbers has more digits than float64 keeps."""
        rounded = np.zeros(len(self), bool)
        for values in numbers:
            rounded |= rounded_rows(values)
        if rounded.any():
            self.unknown.add("rounded", kind, count=int(rounded.sum()))
        flags: npt.NDArray[np.int32] = rounded * np.int32(Flag.ROUNDED)
        return flags

    def _count_unknown_conditions(self, keys: list[Any], codes: npt.NDArray[np.intp]) -> None:
        for index, (tape, marks) in enumerate(keys):
            for mark in marks or ():
                if not is_known_condition(tape, mark):
                    self.unknown.add("condition", tape, mark, count=int((codes == index).sum()))
