"""Settings from all their sources, lowest first: defaults, running stack, file, environment, flags."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ticktrail.config.layers import (
    Entry,
    Layer,
    endpoints_layer,
    environment_layer,
    expanded,
    file_layer,
    overrides_layer,
    secret_from_file,
)
from ticktrail.config.secret import Secret
from ticktrail.config.section import Text, convert_section, mistyped_setting, type_name, unknown_setting
from ticktrail.config.settings import Settings
from ticktrail.errors import ConfigError

__all__ = ["CONFIG_FILE", "DEFAULT_ORIGIN", "Loaded", "Row", "describe", "load"]

# Looked for in the working directory when no file is named.
CONFIG_FILE = "ticktrail.toml"

# What `describe` says of a key that no source sets.
DEFAULT_ORIGIN = "default"

# Feeds' tables are free-form here, so what is secret in them shows only by its name.
_SECRET_NAME = re.compile(r"(key|key_?id|secret|token|password|passphrase|credential)s?$")
_PATH_NAME = re.compile(r"_(dir|file|home)$")


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and where each came from.

    Parameters
    ----------
    settings
        Checked and complete.
    origins
        Dotted key → source, for every key that is not at its default.
    """

    settings: Settings
    origins: Mapping[str, str]


class Row(msgspec.Struct, frozen=True):
    """One line of ``ticktrail config show``.

    Parameters
    ----------
    key
        Dotted: ``"store.hosts"``.
    value
        As text, secrets masked.
    origin
        Where it came from.
    """

    key: str
    value: str
    origin: str


def load(
    *,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read all sources and merge them; a higher one replaces single keys of a lower one.

    Parameters
    ----------
    config_file
        A TOML file that must exist; None takes ``ticktrail.toml`` of the working directory if it is there.
    environ
        Variables to read instead of the process's own.
    overrides
        Flags by dotted key; text is read by the setting's type, None means not given.

    Raises
    ------
    ConfigError
        A file cannot be read, a name is unknown, or a value is of the wrong type or out of range.
        The message names the source, the nearest valid key, and every source that was read.
    """
    file = config_file or Path(CONFIG_FILE)
    has_file = config_file is not None or file.exists()
    try:
        merged: Layer = {}
        for layer in (
            file_layer(file) if has_file else {},
            environment_layer(os.environ if environ is None else environ),
            overrides_layer(overrides or {}),
        ):
            for key, entry in layer.items():
                known_key, known_entry = _known(key, entry)
                merged.pop(known_key, None)  # so that the order stays that of the layers
                merged[known_key] = known_entry
        _add_running(merged)
        origins = {".".join(key): entry.origin for key, entry in merged.items()}
        settings = convert_section(
            _nested(merged), Settings, path="", source=lambda key: origins.get(key, "the settings")
        )
    except ConfigError as error:
        sources = f"{file}{'' if has_file else ' (absent)'}, the environment (TICKTRAIL_…), flags"
        error.next_step = f"{error.next_step} Settings are read, lowest first, from: {sources}.".lstrip()
        raise
    return Loaded(settings=settings, origins=origins)


def describe(loaded: Loaded) -> list[Row]:
    """List every setting with its value and origin, in the order of `Settings`; secrets show as stars."""
    return [
        Row(".".join(key), _show(key, value), loaded.origins.get(".".join(key), DEFAULT_ORIGIN))
        for key, value in _flatten((), loaded.settings)
    ]


def _known(key: tuple[str, ...], entry: Entry) -> tuple[tuple[str, ...], Entry]:
    """Check a key's name, and bring its value into the form that the merged table holds."""
    name = ".".join(key)
    if isinstance(entry.value, str) and "\0" in entry.value:
        raise mistyped_setting(name, "it has a NUL character", entry.origin)
    is_feed = key[0] == "feeds" and len(key) == 2
    if key in _KEYS:
        if _PATH_NAME.search(key[-1]) and isinstance(entry.value, str):
            return key, Entry(Text(expanded(entry.value)) if entry.value else Text(), entry.origin)
        return key, entry
    if (key in _SECTIONS or is_feed) and not isinstance(entry.value, dict):
        raise mistyped_setting(name, f"expected a table, got {type_name(entry.value)}", entry.origin)
    in_feeds = key[0] == "feeds"
    base = (*key[:-1], key[-1].removesuffix("_file"))
    is_secret = bool(_SECRET_NAME.search(base[-1])) if in_feeds else base in _SECRETS
    if base != key and is_secret and isinstance(entry.value, str):
        return base, secret_from_file(entry.value, ".".join(base), entry.origin)
    if not in_feeds and key not in _SECTIONS:
        raise unknown_setting(name, (".".join(k) for k in _KEYS), entry.origin)
    return key, Entry(_masked(entry.value), entry.origin) if is_secret and base == key else entry


def _add_running(merged: Layer) -> None:
    """Fill in the embedded servers' addresses where no source gives any; an empty one counts as none."""
    data_dir = merged.get(("stack", "data_dir"), Entry(Settings().stack.data_dir, "")).value
    if not isinstance(data_dir, str):
        return  # reported as mistyped, later
    running = endpoints_layer(Path(data_dir))
    for address in (("kafka", "bootstrap_servers"), ("store", "hosts")):
        if address in running and not (address in merged and merged[address].value):
            merged[address] = running[address]
            if address == ("store", "hosts"):
                merged.setdefault(("store", "port"), running["store", "port"])


def _nested(layer: Layer) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for key, entry in layer.items():
        table = root
        for name in key[:-1]:
            inner = table.get(name)
            if not isinstance(inner, dict):
                inner = table[name] = {}
            table = inner
        # An empty table (``[feeds.yahoo]``) only says that it exists.
        if entry.value != {} or not isinstance(table.get(key[-1]), dict):
            table[key[-1]] = entry.value
    return root


def _flatten(path: tuple[str, ...], value: Any) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for name, inner in value.items() for leaf in _flatten((*path, name), inner)]


def _show(key: tuple[str, ...], value: Any) -> str:
    if isinstance(value, Secret):
        return "***" if value else ""
    if isinstance(value, tuple | list):
        return ",".join(_show(key, item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return Secret(str(value)) if isinstance(value, str) else value


_SECTIONS = frozenset((name,) for name in Settings.__struct_fields__)
_LEAVES = _flatten((), Settings())
_KEYS = frozenset(key for key, _value in _LEAVES)
_SECRETS = frozenset(key for key, value in _LEAVES if isinstance(value, Secret))
