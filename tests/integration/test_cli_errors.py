"""Bad input and odd surroundings: the command line says what, why and what next, and leaves nothing behind.

Real processes, as a user starts them; wrong usage, which ends before it, is in unit/cli/test_main.py.
"""

from __future__ import annotations

import gzip
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest
from fixtures_servers import Servers, flags_of

from ticktrail.config import KafkaSettings, Settings, StackSettings
from ticktrail.stack.watcher import owned_processes

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

TICKTRAIL = [sys.executable, "-m", "ticktrail"]
DEADLINE_S = 60.0
CLOSED = "127.0.0.1:1"
LONG_QUERY = "SELECT count(*) FROM range(200000000) a, range(100000) b WHERE a.range * b.range % 7 = 3"


@pytest.fixture
def flags(installation: Settings, tmp_path: Path) -> list[str]:
    """The module's installation with a data directory of the test's own."""
    return flags_of(msgspec.structs.replace(installation, stack=StackSettings(data_dir=str(tmp_path))))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TICKTRAIL, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env=os.environ | environment,
    )


def assert_said(code: int, err: str, expected_code: int, *words: str) -> None:
    assert code == expected_code, err
    assert "Traceback" not in err
    for word in words:
        assert word in err, err


def test_a_plug_in_that_fails_is_named(flags: list[str], tmp_path: Path) -> None:
    information = tmp_path / "nimbus-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: nimbus\nVersion: 1\n")
    (information / "entry_points.txt").write_text("[ticktrail.feeds]\nnimbus = nimbus:make_feed\n")
    (tmp_path / "nimbus.py").write_text("\nraise RuntimeError('no licence')\n")
    for command in ("capture", "run"):
        result = run(command, "--feed", "nimbus", *flags, PYTHONPATH=str(tmp_path))
        assert_said(result.returncode, result.stderr, 2, "RuntimeError: no licence (nimbus.py:2)")
    assert "plug-in of nimbus" in run("feeds", PYTHONPATH=str(tmp_path)).stdout


# ── servers, disks and files that are not as they should be: exit code 1 ──


@pytest.fixture(scope="module")
def without_kafka(
    installation: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[subprocess.Popen[str]]]:
    """Commands that look for a Kafka that is not there; they give up after ten seconds, beside the rest."""
    settings = msgspec.structs.replace(
        installation,
        kafka=KafkaSettings(bootstrap_servers=CLOSED, topic_prefix=installation.kafka.topic_prefix),
        stack=StackSettings(data_dir=str(tmp_path_factory.mktemp("without_kafka"))),
    )
    processes = [
        subprocess.Popen(
            [*TICKTRAIL, *command, *flags_of(settings)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in (["tail", "trades"], ["run", "--feed", "sim"])
    ]
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("command", [["sql", "SELECT 1"], ["persist"]])
@pytest.mark.usefixtures("without_kafka")
def test_unreachable_cassandra(command: list[str], flags: list[str]) -> None:
    began = time.monotonic()
    result = run(*command, *flags, "--set", "store.port=1")
    assert time.monotonic() - began < 15
    assert_said(
        result.returncode,
        result.stderr,
        1,
        f"Cannot reach Cassandra at {CLOSED}",
        "refused",
        "`ticktrail up`",
    )


@pytest.mark.parametrize("below", ["file", "file/below"])
def test_data_directory_that_cannot_be(below: str, flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in (["up"], ["run", "--feed", "sim"], ["exchange"]):
        result = run(*command, *flags, "--data-dir", str(tmp_path / below))
        assert_said(result.returncode, result.stderr, 1, str(tmp_path / "file"), "director")


def test_port_in_use(servers: Servers, tmp_path: Path) -> None:
    port = servers.kafka.rpartition(":")[2]
    result = run("up", "--data-dir", str(tmp_path), "--kafka-port", port)
    assert_said(result.returncode, result.stderr, 1, f"cannot listen on 127.0.0.1:{port}", "stack.kafka_port")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT * FROM trads", "Did you mean trades?"),
        ("SELECT prise FROM trades WHERE symbol = 'A'", "Did you mean price?"),
        ("SELECT * FROM trades", "--scan-all"),
        ("SELECT \udcff", "The query cannot be answered"),
        ("", "Try: SELECT"),
        ("COPY (SELECT 1) TO '/dev/full'", "No space left on device"),
    ],
)
def test_wrong_query(query: str, words: str, flags: list[str]) -> None:
    result = run("sql", query, *flags)
    assert_said(result.returncode, result.stderr, 1, words)


def test_full_disk_keeps_what_stood_there(flags: list[str], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        (disk / "rows.csv").write_text("before")
        query = "SELECT hash(range) FROM range(100000)"
        result = run("sql", query, "--output", str(disk / "rows.csv"), *flags)
        assert_said(result.returncode, result.stderr, 1, "No space left on device", "room on its disk")
        assert [file.name for file in disk.iterdir()] == ["rows.csv"]
        assert (disk / "rows.csv").read_text() == "before"
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "no such file"),
        ("empty.zip", b"", "not a zip file"),
        ("empty.csv", b"", "has no header"),
        ("cut.csv.gz", gzip.compress(b"symbol,ts_event_ns,price,size\n" * 9)[:20], "Compressed file ended"),
        ("rows.txt", b"hello", "Set format to"),
    ],
    ids=["absent", "no zip", "empty", "truncated", "unknown"],
)
def test_import_of_a_bad_file(
    name: str, content: bytes | None, words: str, flags: list[str], tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    result = run("import", str(tmp_path / name), *flags)
    assert_said(result.returncode, result.stderr, 1, words, name)


# ── odd terminals ──


def test_a_terminal_without_unicode(flags: list[str]) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    result = run("sql", "SELECT 'é' AS x", *flags, **ascii_only)
    assert_said(result.returncode, result.stderr, 0)
    assert r"\xe9" in result.stdout


def test_a_terminal_too_narrow_for_any_column() -> None:
    for command, word in (("config show", "kafka.bootstrap_servers"), ("feeds", "alpaca")):
        assert word in run(*command.split(), COLUMNS="5").stdout


def test_no_color_means_no_color() -> None:
    ours, theirs = pty.openpty()
    command = [*TICKTRAIL, "config", "show", "--set", "x"]
    subprocess.run(command, stderr=theirs, check=False, env=os.environ | {"NO_COLOR": "1"})
    said = os.read(ours, 4096)
    os.close(theirs)
    os.close(ours)
    assert said.startswith(b"Error: --set x")
    assert not re.search(rb"\x1b", said)


def test_a_reader_that_goes_away_and_a_full_standard_output(flags: list[str]) -> None:
    command = [*TICKTRAIL, "sql", "--json", "SELECT range FROM range(100000)", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == '{"range": 0}\n'
        process.stdout.close()
        assert process.stderr.read() == ""
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert_said(result.returncode, result.stderr, 1, "No space left on device")


# ── Ctrl-C ──


def interrupted(command: list[str], until: Callable[[psutil.Process], bool]) -> tuple[int, str]:
    """Start, wait for the moment, press Ctrl-C as a terminal does; give exit code and standard error."""
    process = subprocess.Popen(
        [*TICKTRAIL, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not until(psutil.Process(process.pid)):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)  # the pause of a wait with a deadline
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert "Traceback" not in err
    return process.returncode, err


@pytest.mark.parametrize(
    ("stage", "options"),
    [
        ("persist", []),
        ("capture", ["--feed", "sim", "--set", f"feeds.sim.url=ws://{CLOSED}"]),
        ("run", ["--feed", "sim"]),
    ],
)
def test_interrupted_stage(stage: str, options: list[str], flags: list[str], tmp_path: Path) -> None:
    # `run` is caught while its stages start; test_run.py interrupts one that works.
    word = tmp_path / "run" / ("bars.json" if stage == "run" else f"{stage}.json")
    code, err = interrupted([stage, *options, *flags], lambda _: word.exists())
    assert code == 0, err


def test_interrupted_import_is_no_success(flags: list[str], tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("symbol,ts_event_ns,price,size\nA,1700000000000000000,1.5,10\n")
    word = tmp_path / "run" / "persist.json"
    code, err = interrupted(["import", str(tmp_path / "rows.csv"), *flags], lambda _: word.exists())
    assert_said(code, err, 1, "Importing the same again")


def test_interrupted_tail(flags: list[str]) -> None:
    code, err = interrupted(["tail", "trades", *flags], lambda process: bool(process.net_connections()))
    assert_said(code, err, 1, "Stopped.")


@pytest.mark.parametrize("command", [["tail", "trades"], ["persist"], ["capture", "--feed", "sim"]])
def test_interrupted_while_kafka_is_awaited(command: list[str], flags: list[str]) -> None:
    away = ["--set", f"kafka.bootstrap_servers={CLOSED}", "--set", f"feeds.sim.url=ws://{CLOSED}"]
    began = time.monotonic()
    # Once its client runs, in threads of its own, it waits.
    code, _ = interrupted([*command, *flags, *away], lambda process: process.num_threads() > 4)
    assert code == (1 if command[0] == "tail" else 0)
    assert time.monotonic() - began < 8


def test_interrupted_query(flags: list[str]) -> None:
    # After so much work it is long at the query itself, which Python cannot interrupt.
    code, _ = interrupted(["sql", LONG_QUERY, *flags], lambda process: process.cpu_times().user > 4)
    assert code == -signal.SIGINT


def test_interrupted_up(tmp_path: Path) -> None:
    code, err = interrupted(["up", "--data-dir", str(tmp_path)], lambda _: bool(owned_processes(tmp_path)))
    assert_said(code, err, 1, "Stopped.")
    assert owned_processes(tmp_path) == []


def test_unreachable_kafka(without_kafka: list[subprocess.Popen[str]]) -> None:
    for process in without_kafka:
        _, err = process.communicate(timeout=DEADLINE_S)
        assert_said(
            process.returncode, err, 1, f"Cannot reach Kafka at {CLOSED}", "refused", "`ticktrail up`"
        )
