"""The BATCH request built by NumPy against the one that the stock driver builds."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import msgspec
import numpy as np
import pytest
from cassandra import ConsistencyLevel
from cassandra.cqltypes import UserType, lookup_casstype
from cassandra.protocol import BatchMessage
from cassandra.query import BatchStatement, BatchType, PreparedStatement
from cassandra.util import Date
from hypothesis import given, settings
from hypothesis import strategies as st

from ticktrail.model import Columns, Record, column_dtypes
from ticktrail.store import LATEST_QUOTES, LATEST_TRADES, TABLES, Table
from ticktrail.store.frames import batch_body, encode_rows

ALL = [*TABLES.values(), LATEST_TRADES, LATEST_QUOTES]
QUERY_ID = bytes(range(100, 116))
CASS_TYPES = {
    "text": "UTF8Type",
    "bigint": "LongType",
    "int": "Int32Type",
    "smallint": "ShortType",
    "date": "SimpleDateType",
    "double": "DoubleType",
    "boolean": "BooleanType",
}

texts = st.one_of(
    st.sampled_from(["", "A", "BRK.B", "Ünï", "🐟", "x" * 127]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES = {"S": texts, "f8": st.floats(allow_nan=False), "b1": st.booleans(), "i4": INT32, "i8": INT64}


def rows_of(table: Table) -> st.SearchStrategy[list[Any]]:
    fields = {
        name: VALUES["S" if dtype.kind == "S" else dtype.str[1:]]
        for name, dtype in column_dtypes(table.record).items()
    }
    if table.name == "bars":
        fields["interval"] = st.sampled_from(["1s", "1m", "5m", "1h", "1d"])
        fields["day"] = st.integers(-3_000, 60_000)
    return st.lists(st.builds(table.record, **fields), min_size=1, max_size=6)


def schema() -> str:
    return (resources.files("ticktrail.store") / "schema" / "001_hot_tier.cql").read_text(encoding="utf-8")


def type_fields(name: str) -> dict[str, str]:
    """Read a type's fields from the schema file, in their order."""
    found = re.search(rf"CREATE TYPE IF NOT EXISTS {name} \((.*?)\);", schema(), re.DOTALL)
    assert found
    return dict(pair.split() for pair in found[1].replace("\n", " ").split(","))


def cql_type(name: str) -> Any:
    return lookup_casstype(f"org.apache.cassandra.db.marshal.{CASS_TYPES[name]}")


def udt_of(table: Table) -> Any:
    fields = type_fields(table.value_type)
    return UserType.make_udt_class(
        "ks", table.value_type, tuple(fields), tuple(cql_type(each) for each in fields.values())
    )


class ColumnMetadata(msgspec.Struct):
    """What the server tells the driver of a parameter."""

    keyspace_name: str
    table_name: str
    name: str
    type: Any


def prepared(table: Table, protocol_version: int) -> PreparedStatement:
    keys = {**table.partition, **table.clustering}
    parameters = {
        **{name: cql_type(each) for name, each in keys.items()},
        table.value: udt_of(table),
        "[timestamp]": cql_type("bigint"),
    }
    metadata = [ColumnMetadata("ks", table.name, name, each) for name, each in parameters.items()]
    return PreparedStatement(metadata, QUERY_ID, None, table.insert, "ks", protocol_version, None, None)


def drivers_body(
    table: Table, keys: Mapping[str, Any], records: Sequence[Record], write_ts_us: Any, version: int
) -> bytes:
    """Build the same request with the driver, value by value."""
    statement = prepared(table, version)
    batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
    for index, record in enumerate(records):
        values: list[Any] = []
        for name, each in {**table.partition, **table.clustering}.items():
            value = keys[name][index]
            if each == "text":
                values.append(bytes(value).decode())
            else:
                values.append(Date(int(value)) if each == "date" else int(value))
        values.append(tuple(getattr(record, name) for name in type_fields(table.value_type)))
        batch.add(statement.bind([*values, int(write_ts_us[index])]))
    message = BatchMessage(batch.batch_type, batch._statements_and_parameters, ConsistencyLevel.LOCAL_QUORUM)
    body = io.BytesIO()
    message.send_body(body, version)
    return body.getvalue()


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("table", ALL, ids=lambda table: f"{table.name}.{table.value}")
@settings(max_examples=25)
@given(data=st.data())
def test_the_request_is_the_drivers(table: Table, version: int, data: st.DataObject) -> None:
    records = data.draw(rows_of(table))
    columns = Columns.from_records(table.record, records)
    write_ts_us = np.array(data.draw(st.lists(INT64, min_size=len(records), max_size=len(records))))
    keys = table.keys(columns, 15)
    rows = encode_rows(table, QUERY_ID, keys, columns, write_ts_us)
    body = batch_body(rows.data.tobytes(), len(records), ConsistencyLevel.LOCAL_QUORUM, version)
    assert body == drivers_body(table, keys, records, write_ts_us, version)


@pytest.mark.parametrize("table", ALL, ids=lambda table: f"{table.name}.{table.value}")
def test_the_frozen_type_has_the_records_other_fields(table: Table) -> None:
    assert list(table.fields) == list(type_fields(table.value_type))
    stored = {*table.fields, *table.partition, *table.clustering}
    renamed = {"ts_ns": "ts", "ts_open_ns": "ts"}
    missing = {renamed.get(name, name) for name in column_dtypes(table.record)} - stored
    # `latest` is a view of the tick tables: it says nothing of the event's place in them.
    assert missing == ({"day", "ts", "event_id"} if table.name == "latest" else set())


@pytest.mark.parametrize("table", ALL, ids=lambda table: f"{table.name}.{table.value}")
def test_the_keys_are_those_of_the_schema(table: Table) -> None:
    found = re.search(rf"CREATE TABLE IF NOT EXISTS {table.name} \((.*?)\)\)?\n", schema(), re.DOTALL)
    assert found
    columns, primary_key = found[1].split("PRIMARY KEY")
    named = dict(pair.split(maxsplit=1) for pair in columns.replace("\n", " ").split(",") if pair.strip())
    assert {**table.partition, **table.clustering}.items() <= named.items()
    assert named[table.value] == f"frozen<{table.value_type}>"
    partition, clustering = primary_key.strip(" (").split(")", 1)
    assert [name.strip() for name in partition.split(",")] == list(table.partition)
    assert [name.strip(" )") for name in clustering.split(",")[1:]] == list(table.clustering)
