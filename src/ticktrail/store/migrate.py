"""Brings the keyspace to this version: ``schema/NNN_name.cql`` in order, each once.

Every statement may be repeated, so a migration that was cut short is simply run again; and all of them are
where a table is gone.
"""

from __future__ import annotations

import re
from importlib import resources

from ticktrail.errors import SchemaMismatch
from ticktrail.store.session import StoreSession
from ticktrail.telemetry import get_logger

__all__ = ["SCHEMA_VERSION", "migrate", "slot_minutes"]

_FILES = sorted(
    (
        file
        for file in resources.files("ticktrail.store").joinpath("schema").iterdir()
        if file.name.endswith(".cql")
    ),
    key=lambda file: file.name,
)
_TABLES = {
    name
    for file in _FILES
    for name in re.findall(r"(?m)^CREATE TABLE IF NOT EXISTS (\w+)", file.read_text(encoding="utf-8"))
}
SCHEMA_VERSION = int(_FILES[-1].name.split("_")[0])

_log = get_logger("store")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,47}")


def migrate(session: StoreSession) -> int:
    """Create the keyspace and tables that are missing, and use the keyspace from now on.

    Returns
    -------
    How many migrations were run.

    Raises
    ------
    SchemaMismatch
        The keyspace belongs to a newer version, or its name is no name.
    """
    settings = session.settings
    if not _NAME.fullmatch(settings.keyspace):
        raise SchemaMismatch(
            what=f"{settings.keyspace!r} is no name for a keyspace",
            next_step="Set TICKTRAIL_STORE__KEYSPACE to letters, digits and underscores.",
        )
    session.execute(
        f"CREATE KEYSPACE IF NOT EXISTS {settings.keyspace} WITH replication = {_replication(session)}"
    )
    session.driver.set_keyspace(settings.keyspace)
    session.execute("CREATE TABLE IF NOT EXISTS schema_version (id int PRIMARY KEY, version int)")
    rows = session.execute("SELECT version FROM schema_version WHERE id = 0")
    found = rows[0].version if rows else 0
    if found > SCHEMA_VERSION:
        raise SchemaMismatch(
            what=f"The keyspace {settings.keyspace} was made by a newer ticktrail",
            why=f"it has schema version {found}, this program knows {SCHEMA_VERSION}",
            next_step="Upgrade ticktrail, or choose another keyspace with TICKTRAIL_STORE__KEYSPACE.",
        )
    if found and (gone := sorted(_TABLES - _tables(session))):
        _log.warning("store.tables_gone", keyspace=settings.keyspace, tables=",".join(gone))
        found = 0
    run = 0
    for file in _FILES:
        version = int(file.name.split("_")[0])
        if version <= found:
            continue
        for statement in _statements(file.read_text(encoding="utf-8")):
            session.execute(statement)
        session.execute("INSERT INTO schema_version (id, version) VALUES (0, %s)", (version,))
        run += 1
    return run


def _tables(session: StoreSession) -> set[str]:
    query = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s"
    return {row.table_name for row in session.execute(query, (session.settings.keyspace,))}


def slot_minutes(session: StoreSession) -> dict[str, int]:
    """Read the width of each table's slots. They decide the key of every row, so the store's word counts."""
    return {row.table_name: row.slot_minutes for row in session.execute("SELECT * FROM layout")}


def _replication(session: StoreSession) -> str:
    factor = session.settings.replication_factor
    if session.settings.datacenter:
        return f"{{'class': 'NetworkTopologyStrategy', '{session.settings.datacenter}': {factor}}}"
    return f"{{'class': 'SimpleStrategy', 'replication_factor': {factor}}}"


def _statements(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in "\n".join(lines).split(";") if statement.strip()]
