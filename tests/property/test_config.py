"""Whatever stands in files, environment and flags: settings or a ConfigError, and no secret in either."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ticktrail.config import describe, load
from ticktrail.errors import ConfigError

SECRET = "hunter2-hunter2"

NAMES = """
    store.password store.password_file store.hosts store.port store.tls store.timeout_s stack.data_dir
    stack.cache_dir kafka.partitions kafka.security_protocol kafka.tls_key_file bars.intervals
    telemetry.log_level feeds.x.key feeds.x.key_file feeds.x.rate feeds.x feeds store
"""
NAME = st.one_of(st.sampled_from(NAMES.split()), st.text("abc_.~", min_size=1, max_size=6))
TEXT = st.one_of(st.sampled_from([SECRET, "", "~nobody/x", "a,b", "true", "\0", "9042"]), st.text(max_size=8))
VALUE = st.one_of(TEXT, st.integers(), st.booleans(), st.floats(), st.lists(TEXT, max_size=2))


def attempt(**sources: Any) -> None:
    """Load; an error names its source, and nothing that may be shown holds a secret."""
    try:
        loaded = load(**sources)
    except ConfigError as error:
        shown = [f"{error} {error!r} {error.__cause__!r}"]
        source = error.source
    else:
        secrets = {"store.password", "feeds.x.key"}
        shown = [row.value for row in describe(loaded) if row.key in secrets]
        source = "none needed"
    assert source
    assert not any(SECRET in text for text in shown)


@given(st.dictionaries(NAME, TEXT, max_size=3))
def test_environment(entries: dict[str, str]) -> None:
    attempt(environ={"TICKTRAIL_" + name.upper().replace(".", "__"): text for name, text in entries.items()})


@given(st.dictionaries(NAME, VALUE, max_size=3))
def test_flags(entries: dict[str, Any]) -> None:
    attempt(environ={}, overrides=entries)


@given(st.dictionaries(NAME, VALUE, max_size=3), st.binary(max_size=8))
def test_files(entries: dict[str, Any], tail: bytes) -> None:
    # JSON's text, numbers and lists are TOML's, near enough; what is not is a good test as well.
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in entries.items())
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "ticktrail.toml"
        path.write_bytes(text.encode() + tail)
        attempt(config_file=path, environ={})
