"""Rows of bytes of different lengths, built without a loop over the rows.

Each row is laid out at full width in a matrix, then the unused ends of its texts are masked away. Where no
text is shorter than its column, the matrix already is the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ticktrail.model import Array

__all__ = ["Bytes", "PackedRows", "TextPiece", "gather_text", "pack_rows", "text_lengths"]

Bytes = npt.NDArray[np.uint8]


class TextPiece(NamedTuple):
    """A text column as part of a row: bytes shape ``(n, width)``, of which `lengths` shape ``(n,)`` count."""

    matrix: Bytes
    lengths: npt.NDArray[np.int64]

    @staticmethod
    def of(column: Array) -> TextPiece:
        """View an ``S`` column of shape ``(n,)`` as a piece."""
        contiguous = np.ascontiguousarray(column)
        matrix = contiguous.view(np.uint8).reshape(len(column), column.dtype.itemsize)
        return TextPiece(matrix, text_lengths(column))


class PackedRows(NamedTuple):
    """Rows behind one another: row i is ``data[offsets[i]:offsets[i + 1]]``; offsets shape ``(n + 1,)``."""

    data: Bytes
    offsets: npt.NDArray[np.int64]

    def rows(self) -> list[bytes]:
        """Cut into one bytes object per row."""
        whole = self.data.tobytes()
        ends = self.offsets.tolist()
        return [whole[start:end] for start, end in itertools.pairwise(ends)]


def pack_rows(pieces: Sequence[Bytes | TextPiece]) -> PackedRows:
    """Join pieces side by side into rows.

    Parameters
    ----------
    pieces
        From left to right: matrices of shape ``(n, width)`` that are taken whole, and texts.
    """
    matrices = [piece.matrix if isinstance(piece, TextPiece) else piece for piece in pieces]
    packed = np.concatenate(matrices, axis=1)
    count, width = packed.shape
    keep: npt.NDArray[np.bool_] | None = None
    lengths = np.full(count, width, dtype=np.int64)
    start = 0
    for piece, matrix in zip(pieces, matrices, strict=True):
        end = start + matrix.shape[1]
        if isinstance(piece, TextPiece) and (unused := matrix.shape[1] - piece.lengths).any():
            if keep is None:
                keep = np.ones((count, width), dtype=np.bool_)
            keep[:, start:end] = np.arange(end - start) < piece.lengths[:, None]
            lengths -= unused
        start = end
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return PackedRows(packed.reshape(-1) if keep is None else packed[keep], offsets)


def gather_text(data: Bytes, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Array:
    """Collect texts that lie anywhere in a buffer into an ``S`` column.

    Parameters
    ----------
    data
        The buffer.
    starts, lengths
        Shape ``(n,)``; every text must lie inside the buffer.
    """
    width = max(int(lengths.max(initial=0)), 1)
    columns = np.arange(width)
    index = starts[:, None] + columns
    np.minimum(index, len(data) - 1, out=index)
    matrix = np.where(columns < lengths[:, None], data[index], 0).astype(np.uint8)
    return matrix.view(f"S{width}").reshape(-1)


def text_lengths(column: Array) -> npt.NDArray[np.int64]:
    """Count the bytes of each text of an ``S`` column. Shape ``(n,)``."""
    return np.strings.str_len(column)
