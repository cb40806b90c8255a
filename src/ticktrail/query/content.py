"""A hash over the content of a table, that any other reader of the store can compute as well."""

from __future__ import annotations

import pyarrow as pa

from ticktrail.store import TABLES, sql_schema

__all__ = ["content_sql"]

_SEPARATOR = "chr(31)"


def content_sql(table: str, feed: str) -> str:
    """Write the SQL that counts and hashes the rows of a feed, per symbol and day.

    A row's text is its columns in the order of ``DESCRIBE``, without `feed` and without `ts` where it follows
    from `ts_event_ns`, joined by the character 31: whole numbers in digits, floats as C's ``%.17g``,
    timestamps as microseconds since 1970, dates as ISO 8601, ``true`` and ``false``, NULL as nothing. Its MD5
    is read as a little-endian number; the hash is the exclusive or of all of them, so order is of no
    consequence and no memory is needed.

    Parameters
    ----------
    table
        In SQL.
    feed
        The feed's name.
    """
    schema = sql_schema(TABLES[table])
    left_out = {"feed", "ts"} if "ts_event_ns" in schema.names else {"feed"}
    texts = [
        f"coalesce({_as_text(field.name, field.type)}, '')" for field in schema if field.name not in left_out
    ]
    row = f"concat_ws({_SEPARATOR}, {', '.join(texts)})"
    return (
        f"SELECT symbol, day, count(*) AS rows_count, "  # noqa: S608 (names are our own)
        f"lpad(lower(to_hex(bit_xor(md5_number({row})))), 32, '0') AS hash "
        f"FROM {table} WHERE feed = '{feed.replace(chr(39), chr(39) * 2)}' "
        "GROUP BY symbol, day ORDER BY symbol, day"
    )


def _as_text(name: str, arrow_type: pa.DataType) -> str:
    column = f'"{name}"'
    if pa.types.is_floating(arrow_type):
        return f"format('{{:.17g}}', {column})"
    if pa.types.is_timestamp(arrow_type):
        return f"epoch_us({column})::VARCHAR"
    return f"{column}::VARCHAR"
