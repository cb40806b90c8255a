"""Wrong usage and wrong settings: exit code 2 and a hint, before anything is started."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ticktrail import __main__ as entry
from ticktrail.cli.main import main

USAGE = [
    ("rnu", "Did you mean run?"),
    ("run", "--feed"),
    ("run --feed simm", "Did you mean sim?"),
    ("run --feed sim --seconds 0", "above 0"),
    ("run --feed sim --seconds -3", "above 0"),
    ("run --feed sim --seconds soon", "'soon'"),
    ("run --feed sim --rate nan", "above 0"),
    ("run --feed sim --symbols 0", "Say how many"),
    ("run --feed sim --set feeds.sim.rat=5", "Did you mean feeds.sim.rate?"),
    ("run --feed yahoo --symbols ,", "names nothing"),
    ("run --feed yahoo", "Name symbols"),
    ("run --feed yahoo --symbols A --seed 3", "--seed is of the feed sim alone"),
    ("run --feed alpaca", "TICKTRAIL_FEEDS__ALPACA__KEY"),
    ("run --feed file", "--feed file:PATH"),
    ("capture --feed yahoo --symbols A --kinds trads", "did you mean trades?"),
    ("persist --name ../x", "name a stage"),
    ("import . --format excel", "one of auto, lean"),
    ("import . --symbols ,", "names nothing"),
    ("sql SELECT --output /nowhere/x.csv", "its directory does not exist"),
    ("sql SELECT --output x.txt", ".csv, .parquet, .arrow"),
    ("tail trades -n 0", "x>=1"),
    ("logs kafak", "'kafka', 'cassandra'"),
    ("config show --set store.hots=db1", "Did you mean store.hosts?"),
    ("config show --set store.port=70000", "<= 65535"),
    ("config show --set bars.intervals=7m", "one of 1s, 1m"),
    ("config show --set bars.intervals=", "length >= 1"),
    ("config show --set store.hosts", "--set KEY=VALUE"),
    ("config show --set feeds.alpca.key=x", "Did you mean feeds.alpaca?"),
    ("config show --config /dev/zero", "larger than 1 MiB"),
    ("config show --config /", "Is a directory"),
    ("up --kafka-port 70000", "<= 65535"),
]


@pytest.mark.parametrize(("command", "words"), USAGE, ids=[command for command, _ in USAGE])
def test_wrong_usage(command: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(command.split())
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("option", ["import", "config show --data-dir", "config show --config", "sql x -o"])
def test_an_empty_path_is_not_the_working_directory(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*option.split(), ""])
    assert ended.value.code == 2
    assert "the path is empty" in capsys.readouterr().err


def test_interrupted_before_there_is_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "ticktrail.cli.main", SimpleNamespace(main=interrupt))
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "Stopped.\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a = [", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[kafak]\npartitions = 8\n", "Did you mean kafka.partitions?"),
        (b'[kafka]\npartitions = "8"\n', "ticktrail.toml:2"),
    ],
)
def test_wrong_settings_file(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ticktrail.toml"
    file.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["config", "show", "--config", str(file)])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
