"""What `up`, `down` and `status` say of where they looked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ticktrail.cli.main import main
from ticktrail.cli.options import same_place
from ticktrail.clock import NS_PER_SECOND, SystemClock
from ticktrail.config import Settings, StackSettings
from ticktrail.telemetry import Snapshot, SnapshotWriter


def said(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    with pytest.raises(SystemExit):
        main(list(command))
    return capsys.readouterr().out


def test_a_further_command_is_told_the_data_directory_unless_it_finds_it_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "my data"
    settings = Settings(stack=StackSettings(data_dir=str(place)))
    assert same_place(settings) == f" --data-dir '{place}'"
    monkeypatch.setenv("TICKTRAIL_STACK__DATA_DIR", str(place))
    assert same_place(settings) == ""


def test_down_names_where_it_found_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"No servers were running in {tmp_path}" in said(capsys, "down", "--data-dir", str(tmp_path))


def test_status_forgets_further_processes_that_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("persist", "persist-2", "persist-3"):
        SnapshotWriter(tmp_path / "run" / f"{name}.json", SystemClock()).close({})
    file = tmp_path / "run" / "persist-3.json"
    word = msgspec.json.decode(file.read_bytes(), type=Snapshot)
    older = msgspec.structs.replace(word, ts_ns=word.ts_ns - 700 * NS_PER_SECOND)
    file.write_bytes(msgspec.json.encode(older))
    shown = said(capsys, "status", "--data-dir", str(tmp_path))
    assert "persist-2" in shown
    assert "persist-3" not in shown
    assert f"ticktrail up --data-dir {tmp_path}" in shown
