"""What each sale condition lets a trade do: update the last price, the high and low, the volume.

A trade carries up to four conditions; it may do only what all of them allow. The same letter can mean
different things on the two plans (B is an average price on one and a bunched trade on the other), so the
tape decides the table. The rules are those of the *consolidated* statistics.

Some rules depend on the day so far, which one trade alone does not show:

- "only if no other trade has set the last price today" (G, P, Z, 3, 4) is read as never. It would matter for
  a symbol's first print of the day alone.
- Sold last (L) is read as always: it is reported late but in sequence. UTP lets it set the last price until
  16:00:10; CTA if the price it follows is from the same venue, or it comes from the listing venue, which is
  the one that reports such trades.

Sources: CTA "CTS Pillar Multicast Output Specification", "Sale Condition" and "Consolidated processing
guidelines", and UTP "UTP Trade Data Feed Specification", "Sale Condition Matrix", both as transcribed in
dxFeed's knowledge base, "TimeAndSale Sale Conditions"; UTP vendor alerts 2013-11 (I, 9) and 2015-4 (V, 7);
Massive's ``/v3/reference/conditions``, against which a test holds these tables. All read in 2026-11.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from ticktrail.model.flags import Flag

__all__ = ["CTA", "UTP", "is_known_condition", "sale_condition_flags"]

_ALL = Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME
_NO_LAST = Flag.UPDATES_HIGH_LOW | Flag.UPDATES_VOLUME
_NO_VOLUME = Flag.UPDATES_LAST | Flag.UPDATES_HIGH_LOW
_VOLUME = Flag.UPDATES_VOLUME
_NONE = Flag(0)

CTA: dict[str, Flag] = {
    " ": _ALL,  # no condition
    "@": _ALL,  # regular sale
    "B": _VOLUME,  # average price trade
    "C": _VOLUME,  # cash trade, same-day clearing
    "E": _ALL,  # automatic execution
    "F": _ALL,  # intermarket sweep order
    "H": _VOLUME,  # price variation trade
    "I": _VOLUME,  # odd lot
    "K": _ALL,  # rule 127 (NYSE) or rule 155 (NYSE American)
    "L": _ALL,  # sold last: reported late, but in sequence
    "M": _NONE,  # market centre official close: restates trades already counted
    "N": _VOLUME,  # next-day trade (reserved since all settlement is next-day)
    "O": _ALL,  # market centre opening trade
    "P": _NO_LAST,  # prior reference price
    "Q": _NONE,  # market centre official open: restates trades already counted
    "R": _VOLUME,  # seller
    "T": _VOLUME,  # extended hours
    "U": _VOLUME,  # extended hours, sold out of sequence
    "V": _VOLUME,  # contingent trade
    "X": _ALL,  # cross or periodic auction
    "Z": _NO_LAST,  # sold, out of sequence
    "4": _NO_LAST,  # derivatively priced
    "5": _ALL,  # market centre reopening trade
    "6": _ALL,  # market centre closing trade
    "7": _VOLUME,  # qualified contingent trade
    "9": _NO_VOLUME,  # corrected consolidated close, by the listing venue
}

UTP: dict[str, Flag] = {
    " ": _ALL,
    "@": _ALL,  # regular sale
    "A": _ALL,  # acquisition
    "B": _ALL,  # bunched trade
    "C": _VOLUME,  # cash sale
    "D": _ALL,  # distribution
    "F": _ALL,  # intermarket sweep
    "G": _NO_LAST,  # bunched, sold
    "H": _VOLUME,  # price variation trade
    "I": _VOLUME,  # odd lot
    "K": _ALL,  # rule 155 (NYSE American)
    "L": _ALL,  # sold last: reported late, but in sequence
    "M": _NONE,  # market centre official close
    "N": _VOLUME,  # next day (reserved since all settlement is next-day)
    "O": _ALL,  # opening print
    "P": _NO_LAST,  # prior reference price
    "Q": _NONE,  # market centre official open
    "R": _VOLUME,  # seller
    "S": _ALL,  # split trade
    "T": _VOLUME,  # form T: extended hours
    "U": _VOLUME,  # extended hours, sold out of sequence
    "V": _VOLUME,  # contingent trade
    "W": _VOLUME,  # average price trade
    "X": _ALL,  # cross or periodic auction
    "Y": _ALL,  # yellow flag, regular trade
    "Z": _NO_LAST,  # sold, out of sequence
    "1": _ALL,  # stopped stock, regular trade
    "2": _ALL,  # stopped stock, sold last (historical)
    "3": _NO_LAST,  # stopped stock, sold out of sequence (historical)
    "4": _NO_LAST,  # derivatively priced
    "5": _ALL,  # reopening prints
    "6": _ALL,  # closing prints
    "7": _VOLUME,  # qualified contingent trade
    "9": _NO_VOLUME,  # corrected consolidated close, by the listing venue
}

_TABLE_OF_TAPE = {"A": CTA, "B": CTA, "C": UTP}


def is_known_condition(tape: str, condition: str) -> bool:
    """Tell whether the tape's plan defines this condition; feeds count those that it does not."""
    return condition in _TABLE_OF_TAPE.get(tape, UTP)


@lru_cache(maxsize=65_536)
def sale_condition_flags(tape: str, conditions: str) -> Flag:
    """Reduce sale conditions to the three bits that bars read.

    Parameters
    ----------
    tape
        ``"A"`` or ``"B"`` (CTA), ``"C"`` (UTP); any other is read as UTP.
    conditions
        Comma-separated single characters, as `ticktrail.model.trade.Trade.conditions` has them.

    Returns
    -------
    What every one of the conditions allows. Conditions that the plan does not define (or reserves: 8,
    UTP's E) allow everything, as both plans have regular trades by default; feeds count them
    (`is_known_condition`).
    """
    table = _TABLE_OF_TAPE.get(tape, UTP)
    return _intersection(table.get(condition, _ALL) for condition in conditions.split(",") if condition)


def _intersection(flags: Iterable[Flag]) -> Flag:
    allowed = _ALL
    for flag in flags:
        allowed &= flag
    return allowed
