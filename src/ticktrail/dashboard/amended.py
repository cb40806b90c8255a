"""What venues said of their trades afterwards, for those who look at the tape.

Bars are corrected by their own stage (`ticktrail.bars.corrections`), and come with a higher revision; this
is for the trades themselves: which of them were corrected or taken back. Of all that was said of a trade the
last word by the corrections' own ``(ts_ns, event_id)`` stands, as there.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.model import Columns, Correction, Flag

__all__ = ["Amendments", "Word", "plain_word"]

# About 5 MB; a busy day has some hundreds.
_KEPT_MAX = 10_000

Index = npt.NDArray[np.int64]
Key = tuple[int, int]


class Word(NamedTuple):
    """What stands of a trade.

    Parameters
    ----------
    order
        ``(ts_ns, event_id)`` of the correction.
    price, size
        As they should have been; NaN where the trade was taken back.
    sets_last
        Whether the price counts as the symbol's last one.
    """

    serial: int
    order: tuple[int, int]
    action: str
    price: float
    size: float
    sets_last: bool

    @property
    def is_taken_back(self) -> bool:
        """Whether the trade should not be there at all."""
        return self.action != "correct"


class Amendments:
    """Keeps the newest words on trades. Used by one thread.

    Attributes
    ----------
    serial
        Of the word that came last.
    """

    def __init__(self) -> None:
        self.serial = 0
        # Number of the symbol and event id of the trade → the word; in the order of their serials.
        self._words: dict[Key, Word] = {}
        # A corrected trade may be named by its new id from then on.
        self._renamed: dict[tuple[int, str, str], int] = {}

    def __len__(self) -> int:
        return len(self._words)

    def take(self, codes: Index, corrections: Columns[Correction]) -> list[Key]:
        """Take corrections; give the trades of which something new stands."""
        changed = []
        for code, each in zip(codes.tolist(), corrections.to_records(), strict=True):
            event_id = self._renamed.get((code, each.venue, each.trade_id), each.original_event_id)
            key, order = (code, event_id), (each.ts_ns, each.event_id)
            if each.action == "correct" and each.corrected_trade_id:
                self._renamed[code, each.venue, each.corrected_trade_id] = event_id
            if (known := self._words.get(key)) is not None and known.order >= order:
                continue
            self._words.pop(key, None)
            self.serial += 1
            sets_last = bool(each.flags & Flag.UPDATES_LAST)
            self._words[key] = Word(self.serial, order, each.action, each.price, each.size, sets_last)
            changed.append(key)
        while len(self._words) > _KEPT_MAX:
            del self._words[next(iter(self._words))]
        while len(self._renamed) > _KEPT_MAX:
            del self._renamed[next(iter(self._renamed))]
        return changed

    def of(self, code: int, event_id: int) -> Word | None:
        """Give what stands of a trade; None where nothing was said of it."""
        return self._words.get((code, event_id))

    def among(self, codes: Index, event_ids: Index) -> list[Key]:
        """Find those of some trades of which something was said before they came."""
        if not self._words:
            return []
        said = np.fromiter((event_id for _, event_id in self._words), np.int64, len(self._words))
        found = np.flatnonzero(np.isin(event_ids, said))
        keys = zip(codes[found].tolist(), event_ids[found].tolist(), strict=True)
        return [key for key in keys if key in self._words]

    def after(self, code: int, serial: int) -> list[dict[str, Any]]:
        """Give a symbol's words after a serial, as the live stream has them."""
        found = []
        for (symbol, event_id), word in reversed(self._words.items()):
            if word.serial <= serial:
                break
            if symbol == code:
                found.append({"event_id": str(event_id), **plain_word(word)})
        return found[::-1]


def plain_word(word: Word) -> dict[str, Any]:
    """Describe a word, as the API gives it."""
    price, size = (None if math.isnan(value) else value for value in (word.price, word.size))
    return {"action": word.action, "price": price, "size": size}
