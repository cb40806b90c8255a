"""Venues: ISO 10383 market identifier codes, the tapes' letters for them, and their stable numbers.

Both tapes use the same letters for the same venues, except that Nasdaq is Q on its own tape and T on the
other.

Sources: ISO 10383 register; CTA "Consolidated Tape System Multicast Output Binary Specification", appendix
"Participant IDs"; UTP vendor alerts 2009-9 (J, K, Y) and 2020-6 (H); Massive's ``/v3/reference/exchanges``
(as of 2026-09), against which a test holds this table. There D is four places: FINRA's display facility and
three trade reporting facilities, which the letter cannot tell apart; here it is their operator.
"""

from __future__ import annotations

__all__ = ["CODES", "MIC_OF_LETTER"]

MIC_OF_LETTER: dict[str, str] = {
    "A": "XASE",  # NYSE American
    "B": "XBOS",  # Nasdaq Texas, formerly BX, formerly Boston
    "C": "XCIS",  # NYSE National
    "D": "FINR",  # FINRA ADF and trade reporting facilities
    "E": "",  # the UTP processor itself: no venue, so no MIC
    "F": "TXSE",  # Texas Stock Exchange
    "G": "24EQ",  # 24X National Exchange
    "H": "EPRL",  # MIAX Pearl
    "I": "XISE",  # International Securities Exchange
    "J": "EDGA",  # Cboe EDGA
    "K": "EDGX",  # Cboe EDGX
    "L": "LTSE",  # Long-Term Stock Exchange
    "M": "XCHI",  # NYSE Texas, formerly Chicago
    "N": "XNYS",  # New York Stock Exchange
    "P": "ARCX",  # NYSE Arca
    "Q": "XNAS",  # Nasdaq, Nasdaq-listed securities
    "S": "",  # the CTA processor itself
    "T": "XNAS",  # Nasdaq, other securities
    "U": "MEMX",  # Members Exchange
    "V": "IEXG",  # Investors Exchange
    "W": "CBSX",  # CBOE Stock Exchange (closed)
    "X": "XPHL",  # Nasdaq PSX
    "Y": "BATY",  # Cboe BYX
    "Z": "BATS",  # Cboe BZX
}

# One byte per venue inside event ids. Stored for ever: append, never renumber.
CODES: dict[str, int] = {
    "": 0,
    "XASE": 1,
    "XBOS": 2,
    "XCIS": 3,
    "FINR": 4,
    "24EQ": 5,
    "EPRL": 6,
    "XISE": 7,
    "EDGA": 8,
    "EDGX": 9,
    "LTSE": 10,
    "XCHI": 11,
    "XNYS": 12,
    "ARCX": 13,
    "XNAS": 14,
    "MEMX": 15,
    "IEXG": 16,
    "CBSX": 17,
    "XPHL": 18,
    "BATY": 19,
    "BATS": 20,
    "TXSE": 21,
}
