"""The sources of settings, each read into one flat layer: path of names → value and where it stood."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ticktrail.config.secret import Secret
from ticktrail.config.section import Text, variable_of
from ticktrail.errors import ConfigError

__all__ = [
    "ENDPOINTS_FILE",
    "Entry",
    "Layer",
    "endpoints_layer",
    "environment_layer",
    "expanded",
    "file_layer",
    "overrides_layer",
    "secret_from_file",
]

# Written by the embedded stack while it runs; see `endpoints_layer`.
ENDPOINTS_FILE = "endpoints.json"

_LOOPBACK = "127.0.0.1"
_PREFIX = "TICKTRAIL_"
# A hundred times a file with every setting; a device such as /dev/zero has no end.
_FILE_BYTES_MAX = 1024 * 1024
_TABLE = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+")
_KEY = re.compile(r"""^\s*["']?([\w.-]+)["']?\s*=""")


class Entry(msgspec.Struct, frozen=True):
    """One value of one source.

    Parameters
    ----------
    value
        As the source has it; `Text` where the source knows only text.
    origin
        Where exactly: ``"ticktrail.toml:12"``, ``"TICKTRAIL_STORE__HOSTS"``.
    """

    value: Any
    origin: str


Layer = dict[tuple[str, ...], Entry]


def file_layer(path: Path) -> Layer:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        It cannot be read or is no TOML.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
        if len(content) > _FILE_BYTES_MAX:
            raise _unreadable(path, "it is larger than 1 MiB", "Give the path of a TOML file.")
        text = content.decode()
        tables = tomllib.loads(text)
    except OSError as error:
        raise _unreadable(
            path, error.strerror or "cannot be opened", "Give the path of a readable file."
        ) from None
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"byte {error.start} is not UTF-8", "Save it as UTF-8.") from None
    except ValueError as error:  # TOMLDecodeError; also a path that the system cannot have
        raise _unreadable(path, f"not valid TOML: {error}", "Mend the file; see https://toml.io.") from None
    lines = _lines_of_keys(text)
    layer: Layer = {}
    for key, value in _leaves((), tables):
        # A value inside an inline table is found at the line of the table.
        line = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        layer[key] = Entry(value, f"{path}:{line}" if line else str(path))
    return layer


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """Read the variables ``TICKTRAIL_SECTION__KEY``; each further ``__`` goes one table deeper.

    ``TICKTRAIL_TEST_…`` belongs to the test suite and is passed over.

    Raises
    ------
    ConfigError
        A variable of this prefix names no section, so that ``TICKTRAIL_STORE_HOSTS`` is not ignored.
    """
    layer: Layer = {}
    for name, value in environ.items():
        rest = name.removeprefix(_PREFIX)
        if rest == name or rest.startswith("TEST_"):
            continue
        key = tuple(part.lower() for part in rest.split("__"))
        if len(key) < 2 or not all(key):
            raise ConfigError(
                what=f"The environment variable {name} names no setting",
                why="a section and a key are needed, joined by two underscores",
                next_step=f"Write it like {variable_of('store.hosts')}.",
                key=".".join(key),
                source=name,
            )
        layer[key] = Entry(Text(value), name)
    return layer


def overrides_layer(overrides: Mapping[str, Any]) -> Layer:
    """Take the command line's flags: dotted keys; those with the value None were not given."""
    layer: Layer = {}
    for key, value in overrides.items():
        if value is not None:
            text = isinstance(value, str | Path)
            layer[tuple(key.split("."))] = Entry(Text(value) if text else value, f"flag {key}")
    return layer


class _Server(msgspec.Struct):
    port: int


class _Endpoints(msgspec.Struct):
    kafka: _Server | None = None
    cassandra: _Server | None = None


def endpoints_layer(data_dir: Path) -> Layer:
    """Learn where the embedded servers of a data directory listen, if they run.

    The stack writes ``endpoints.json`` when both answer and removes it when it stops them. Read here is
    ``{"kafka": {"port": …}, "cassandra": {"port": …}}``; both are on loopback. A file that is not of this
    form counts as none: `ticktrail up`, which reads the settings first, is what replaces it.

    Raises
    ------
    ConfigError
        The file is there and may not be read.
    """
    path = data_dir / ENDPOINTS_FILE
    try:
        servers = msgspec.json.decode(path.read_bytes(), type=_Endpoints)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return {}
    except OSError as error:
        why = error.strerror or "cannot be opened"
        raise _unreadable(path, why, "Check its permissions.") from None
    layer: Layer = {}
    if servers.kafka:
        address = f"{_LOOPBACK}:{servers.kafka.port}"
        layer["kafka", "bootstrap_servers"] = Entry(address, str(path))
    if servers.cassandra:
        layer["store", "hosts"] = Entry(_LOOPBACK, str(path))
        layer["store", "port"] = Entry(servers.cassandra.port, str(path))
    return layer


def secret_from_file(path: Text | str, key: str, origin: str) -> Entry:
    """Read a secret that was given as the path of a file; one line end behind it is dropped.

    Raises
    ------
    ConfigError
        It cannot be read. The path is not repeated: it may be the secret itself, given by mistake.
    """
    try:
        text = expanded(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(
            what=f"Cannot read the secret {key} from its file",
            why=(reason or "it cannot be opened") if path else "the path is empty",
            next_step=f"Check the path in {origin}.",
            key=key,
            source=origin,
        ) from None
    return Entry(Secret(text.removesuffix("\n").removesuffix("\r")), f"{origin} ({path})")


def expanded(path: str) -> Path:
    """Replace a leading ``~`` by the home directory, where there is one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user: then it is a name like any other
        return Path(path)


def _unreadable(path: Path, why: str, next_step: str) -> ConfigError:
    return ConfigError(
        what=f"Cannot read the settings file {path}", why=why, next_step=next_step, key="", source=str(path)
    )


def _leaves(path: tuple[str, ...], table: Mapping[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in table.items():
        key = (*path, name)
        if isinstance(value, dict) and value:
            found += _leaves(key, value)
        else:
            found.append((key, value))
    return found


def _lines_of_keys(text: str) -> dict[tuple[str, ...], int]:
    """Find the line of each key; good enough for messages, and never wrong about the file."""
    lines: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *key[1].split(".")), number)
    return lines
