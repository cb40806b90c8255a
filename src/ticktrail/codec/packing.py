"""Rows of bytes of different lengths, built without a loop over the rows.

Each row is laid out in a matrix, each text as wide as its longest, then the unused ends of shorter ones are
masked away. Where there are none, the matrix already is the result.
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
    matrices: list[Bytes] = []
    uneven: list[tuple[slice, npt.NDArray[np.int64]]] = []
    width = 0
    for piece in pieces:
        matrix, lengths = piece if isinstance(piece, TextPiece) else (piece, None)
        start = width
        if lengths is not None:
            matrix = matrix[:, : lengths.max(initial=0)]
            if (lengths < matrix.shape[1]).any():
                uneven.append((slice(start, start + matrix.shape[1]), lengths))
        width += matrix.shape[1]
        matrices.append(matrix)
    packed = np.concatenate(matrices, axis=1)
    row_lengths = np.full(len(packed), width, dtype=np.int64)
    if uneven:
        keep = np.ones(packed.shape, dtype=np.bool_)
        for place, lengths in uneven:
            used = keep[:, place]
            np.less(np.arange(used.shape[1]), lengths[:, None], out=used)
            row_lengths += lengths - used.shape[1]
    offsets = np.zeros(len(packed) + 1, dtype=np.int64)
    np.cumsum(row_lengths, out=offsets[1:])
    return PackedRows(packed[keep] if uneven else packed.reshape(-1), offsets)


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
