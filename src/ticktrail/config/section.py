"""From tables of plain values to typed, frozen structs, with errors that name the nearest key."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from ticktrail.config.secret import Secret
from ticktrail.errors import ConfigError

__all__ = [
    "Text",
    "convert_section",
    "mistyped_setting",
    "nearest_key",
    "type_name",
    "unknown_setting",
    "variable_of",
]

S = TypeVar("S", bound=msgspec.Struct)

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


class Text(str):
    """A value from the environment or the command line, which know only text.

    It is read by the type of its setting (``"5000"`` as a number, ``"a,b"`` as a list), whereas plain
    text from a file must already have the right type: there ``port = "9042"`` is a mistake.
    """

    __slots__ = ()


def convert_section(
    raw: Mapping[str, Any],
    struct_type: type[S],
    *,
    path: str,
    source: str | Callable[[str], str] = "the settings",
) -> S:
    """Build a section's struct from its table, for ticktrail's own sections and for vendors'.

    Parameters
    ----------
    raw
        Names and values, as in the file; `Text` where they came from the environment or a flag.
    struct_type
        A msgspec struct whose fields are plain types, lists of them, `Secret`, or structs again.
        Constraints (``msgspec.Meta``) are checked. Fields without default are required.
    path
        Dotted name of the section, ``"feeds.alpaca"``, for errors; empty for the root.
    source
        Where the values stood, or a function that tells it for a dotted key, for errors.

    Raises
    ------
    ConfigError
        A name is unknown, a required one missing, or a value of the wrong type or out of its range.
        Values never appear in the message: one of them might be a password in the wrong place.
    """
    source_of = source if callable(source) else lambda _key: source
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct_type)}
    values: dict[str, Any] = {}
    for name, value in raw.items():
        key = _join(path, name)
        if name not in fields:
            raise unknown_setting(key, (_join(path, known) for known in fields), source_of(key))
        values[fields[name].name] = _convert(value, fields[name].type, key, source_of)
    for name, field in fields.items():
        if field.required and field.name not in values:
            key = _join(path, name)
            raise ConfigError(
                what=f"The setting {key} is missing",
                next_step=f"Set it in ticktrail.toml under [{path}], or by {variable_of(key)}.",
                key=key,
                source=source_of(path),
            )
    try:
        return struct_type(**values)
    except ValueError as error:  # the struct's own __post_init__: how its fields go together
        raise ConfigError(
            what=f"The settings of [{path}] do not go together",
            why=str(error),
            key=path,
            source=source_of(path),
        ) from error


def nearest_key(key: str, known: Iterable[str]) -> str:
    """Name the known key that `key` was probably meant to be; empty where none resembles it."""
    section, _, last = key.rpartition(".")
    names = {known_key: known_key.rpartition(".") for known_key in known}
    # A slip in the name; then the right name in the wrong section; then slips in both.
    siblings = {name: k for k, (path, _, name) in names.items() if path == section}
    if found := difflib.get_close_matches(last, siblings, n=1):
        return siblings[found[0]]
    namesakes = [k for k, (_, _, name) in names.items() if name == last]
    others = [k for k, (path, _, _) in names.items() if path != section]
    found = difflib.get_close_matches(key, namesakes or others, n=1, cutoff=0.0 if namesakes else 0.6)
    return found[0] if found else ""


def variable_of(key: str) -> str:
    """Name the environment variable that sets a dotted key."""
    return "TICKTRAIL_" + key.upper().replace(".", "__")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def unknown_setting(key: str, known: Iterable[str], source: str) -> ConfigError:
    """Build the error for a name that does not exist, with the nearest that does."""
    keys = sorted(known)
    meant = nearest_key(key, keys)
    return ConfigError(
        what=f"Unknown setting {key}",
        why=f"it stands in {source}",
        next_step=f"Did you mean {meant}?" if meant else f"Known are: {', '.join(keys)}.",
        key=key,
        source=source,
    )


def _convert(value: Any, hint: Any, key: str, source_of: Callable[[str], str]) -> Any:
    if _is_struct(hint):
        if isinstance(value, Mapping):
            return convert_section(value, hint, path=key, source=source_of)
        raise mistyped_setting(key, f"expected a table, got {type_name(value)}", source_of(key))
    if isinstance(value, Secret) and not _holds_secret(hint):
        value = Text(value.reveal())  # a free-form table was masked by its names; the feed knows better
    try:
        if isinstance(value, Text):
            return msgspec.convert(_untext(value, hint), hint, strict=False, dec_hook=_decode_secret)
        return msgspec.convert(value, hint, dec_hook=_decode_secret)
    except (msgspec.ValidationError, ValueError) as error:
        raise mistyped_setting(key, _reason(error, hint, value), source_of(key)) from None


def _untext(text: Text, hint: Any) -> Any:
    """Bring text from the environment into the shape that msgspec's lax mode reads the rest of."""
    kinds = _plain_types(hint)
    word = str(text).strip()
    if bool in kinds and word.lower() in _TRUE | _FALSE:
        return word.lower() in _TRUE
    if kinds & {list, tuple, set, frozenset}:
        return [part.strip() for part in word.split(",") if part.strip()]
    return word if kinds & {int, float, bool} else str(text)


def _plain_types(hint: Any) -> frozenset[Any]:
    origin = get_origin(hint)
    if origin is Annotated:
        return _plain_types(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return frozenset().union(*(_plain_types(arg) for arg in get_args(hint)))
    return frozenset({origin or hint})


def _is_struct(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _holds_secret(hint: Any) -> bool:
    return Secret in _plain_types(hint) or Any in _plain_types(hint)


def _decode_secret(hint: type, value: Any) -> Any:
    if hint is Secret and isinstance(value, Secret):
        return value
    if hint is Secret and isinstance(value, str):
        return Secret(str(value))
    raise ValueError(f"Expected `{'str' if hint is Secret else hint.__name__}`, got `{type(value).__name__}`")


def mistyped_setting(key: str, why: str, source: str) -> ConfigError:
    """Build the error for a value of the wrong type or range; `why` must not repeat the value."""
    return ConfigError(
        what=f"The setting {key} has a value that it cannot take",
        why=why,
        next_step=f"Mend it in {source}." if source else "",
        key=key,
        source=source,
    )


def _reason(error: Exception, hint: Any, value: Any) -> str:
    text = str(error)
    if text.startswith("Invalid enum value"):  # msgspec repeats the value here
        choices = _choices(hint)
        expected = f"one of {', '.join(map(str, choices))}" if choices else "one of the allowed values"
        return f"expected {expected}, got another {type_name(value)}"
    for theirs, ours in (("`", ""), ("Expected", "expected"), ("array", "list"), ("object", "table")):
        text = text.replace(theirs, ours)
    return text


def _choices(hint: Any) -> tuple[Any, ...]:
    """Give the words that a setting takes, or each item of one that is a list."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(choice for inner in get_args(hint) for choice in _choices(inner))


def type_name(value: Any) -> str:
    """Name a value's type for people."""
    return "str" if isinstance(value, str) else type(value).__name__
