"""Questions in SQL that write, read files, reach out, or take everything."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from serve_kit import DEADLINE_S, Site, subscribed, until

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE x AS SELECT 1",
        "CREATE VIEW x AS SELECT 1",
        "CREATE MACRO f() AS 1",
        "CREATE SECRET s (TYPE s3)",
        "COPY (SELECT 1) TO '/tmp/ticktrail-never.csv'",
        "COPY trades FROM '/etc/passwd'",
        "EXPORT DATABASE '/tmp/ticktrail-never'",
        "IMPORT DATABASE '/tmp/ticktrail-never'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_csv_auto('/etc/passwd')",
        "SELECT * FROM sniff_csv('/etc/passwd')",
        "SELECT * FROM read_parquet('/tmp/*.parquet')",
        "SELECT * FROM parquet_metadata('/tmp/x.parquet')",
        "SELECT * FROM read_json('/etc/passwd')",
        "SELECT content FROM read_text('/etc/hostname')",
        "SELECT content FROM read_blob('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "FROM '/etc/passwd'",
        "FROM 'https://127.0.0.1/x.parquet'",
        "ATTACH '/tmp/ticktrail-never.db'",
        "ATTACH ':memory:' AS m",
        "DETACH memory",
        "USE memory",
        "INSTALL httpfs",
        "FORCE INSTALL httpfs",
        "LOAD httpfs",
        "UPDATE EXTENSIONS",
        "SET memory_limit = '100GB'",
        "SET GLOBAL threads = 64",
        "RESET memory_limit",
        "PRAGMA database_list",
        "PRAGMA threads=64",
        "CALL pragma_version()",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW trades",
        "INSERT INTO trades SELECT * FROM trades",
        "UPDATE trades SET price = 0",
        "DELETE FROM trades",
        "DROP VIEW trades",
        "SELECT * FROM trades",
        "SELECT getenv('HOME')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''/tmp/ticktrail-never.csv''')",
        "SELECT * FROM query_table('/etc/passwd')",
        "SELEC 1",
        "",
        "\x00",
        "SELECT '" + "x" * 100_001 + "'",
        "SELECT " + "(" * 20_000 + "1" + ")" * 20_000,
    ],
)
def test_questions_that_are_refused(site: Site, query: str) -> None:
    status, found = site.ask("/api/v1/sql", {"sql": query})
    assert status == 400, found
    assert found["error"]["what"]
    assert site.rows("SELECT 42") == [[42]]
    assert not list(Path("/tmp").glob("ticktrail-never*"))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT list(x) FROM range(3000000000) t(x)",
        "SELECT sum(a.range * b.range) FROM range(100000000) a, range(100000000) b",
        "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c WHERE a.range + b.range = -1",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n FROM t, range(10)) SELECT count(*) FROM t",
        "SELECT length("
        + " || ".join(["repeat(chr(120 + a::INT), 2000000000)"] * 8)
        + ") FROM range(2) t(a)",
        "SELECT repeat('x', 1000000000)",
        "SELECT repeat('x', 10000) FROM range(100000)",
        "SELECT array_agg(repeat('x', 1000)) FROM range(10000000)",
        "SELECT list_sort(range(1000000000))",
        "SELECT * FROM range(1000000000000) ORDER BY random()",
    ],
)
def test_questions_that_take_everything(site: Site, query: str) -> None:
    with site.live() as socket:
        subscribed(socket, every_ms=20)
        status, found = site.ask("/api/v1/sql", {"sql": query})
        assert status == 400, str(found)[:500]
        assert found["error"]["what"]
        # Others have not noticed, and the next one is answered.
        socket.send('{"op": "ping", "t": 1}')
        assert json.loads(socket.recv(DEADLINE_S)) == {"type": "pong", "t": 1}
    assert site.rows("SELECT 42") == [[42]]
    until(lambda: len(children(site)) == 1, "one process is left for questions")


def children(site: Site) -> list[psutil.Process]:
    found = []
    for each in psutil.Process(site.pid).children(recursive=True):
        with suppress(psutil.Error):  # it may end meanwhile
            if "spawn_main" in " ".join(each.cmdline()):
                found.append(each)
    return found


def test_an_answer_has_so_many_rows_and_no_more(site: Site) -> None:
    _, found = site.ask("/api/v1/sql", {"sql": "SELECT range FROM range(10000000)", "rows_max": 10_000_000})
    assert (found["rows_count"], found["is_truncated"]) == (100_000, True)
    assert [row[0] for row in found["rows"][:3]] == [0, 1, 2]
