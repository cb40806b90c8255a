"""What a frame of a file holds: where each part of its payload came from.

A frame joins the parts of several files that cover the same stretch of time, one behind the other. Its
`origin` is the JSON list of these parts, each an array as `Section` names its items::

    [["lean","trades",0,52341,"ibm/20131007_trade.zip","IBM",20131007,0],
     ["lean","trades",4096,1048212,"spy/20131007_trade.zip","SPY",20131007,0]]

With its origin, a frame can be parsed alone, years later, by anyone.
"""

from __future__ import annotations

import zlib
from datetime import date
from typing import Annotated, Literal

import msgspec

from ticktrail.feeds.base import Frame, Rejected
from ticktrail.feeds.file.config import RowKind
from ticktrail.model import TEXT_BYTES_MAX

__all__ = ["ROW_BITS", "TAG_BITS", "Block", "Section", "encode_origin", "file_tag", "read_blocks"]

# Event ids of CSV and Parquet rows: the file's tag above the row's number, 62 bits together. 2**40 rows
# of the shortest possible line are more than any disk holds.
ROW_BITS = 40
TAG_BITS = 22

_NonNegative = Annotated[int, msgspec.Meta(ge=0, lt=1 << ROW_BITS)]


class Section(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One file's part of a frame.

    Parameters
    ----------
    format
        How its bytes are to be read.
    kind
        What its rows are.
    first_row
        Number of its first row in the whole file, from 0; a CSV's header is no row.
    size_bytes
        Its length in the frame's payload.
    file
        The file, for people.
    symbol, yyyymmdd
        LEAN only, whose rows hold neither: the canonical symbol, and the day.
    tag
        CSV and Parquet only: `file_tag`, which keeps rows of different files apart.
    check
        Parquet only: CRC-32 of the bytes, for they are read by a library that trusts them.
    """

    format: Literal["lean", "csv", "parquet"]
    kind: RowKind
    first_row: _NonNegative
    size_bytes: _NonNegative
    file: str
    symbol: str = ""
    yyyymmdd: _NonNegative = 0
    tag: Annotated[int, msgspec.Meta(ge=0, lt=1 << TAG_BITS)] = 0
    check: _NonNegative = 0

    @property
    def day(self) -> date:
        """The day as a date; ValueError if there is no such day."""
        return date(self.yyyymmdd // 10_000, self.yyyymmdd // 100 % 100, self.yyyymmdd % 100)


class Block(msgspec.Struct, frozen=True, gc=False):
    """A section with its bytes, and the position of its frame in the batch."""

    frame: int
    section: Section
    payload: bytes


_decoder = msgspec.json.Decoder(list[Section])


def encode_origin(sections: list[Section]) -> str:
    """Write the sections of a payload, in their order."""
    return msgspec.json.encode(sections).decode()


def read_blocks(index: int, frame: Frame) -> list[Block] | Rejected:
    """Take a frame apart; a frame whose origin does not fit its payload is rejected whole."""
    try:
        sections = _decoder.decode(frame.origin)
        for section in sections:
            if section.format == "lean":
                _check_lean(section)
    except (msgspec.MsgspecError, ValueError) as error:
        return Rejected(frame.payload, "bad_origin", str(error))
    if sum(section.size_bytes for section in sections) != len(frame.payload):
        return Rejected(frame.payload, "bad_origin", "the sections' sizes are not the payload's")
    blocks = []
    start = 0
    for section in sections:
        end = start + section.size_bytes
        whole = len(sections) == 1
        blocks.append(Block(index, section, frame.payload if whole else frame.payload[start:end]))
        start = end
    return blocks


def file_tag(head: bytes) -> int:
    """Tell files apart by how they begin, wherever they lie and whatever they are called.

    Parameters
    ----------
    head
        A CSV's header and first row; the first 4 KiB of a Parquet file.

    Returns
    -------
    The upper `TAG_BITS` bits of the CRC-32.
    """
    return zlib.crc32(head) >> (32 - TAG_BITS)


def _check_lean(section: Section) -> None:
    symbol = section.symbol.encode()
    if not 0 < len(symbol) <= TEXT_BYTES_MAX or b"\0" in symbol:
        raise ValueError("a LEAN section needs a symbol")
    if not date(1970, 1, 1) <= section.day <= date(2200, 1, 1):
        raise ValueError("a LEAN section needs a day from 1970 to 2200")
