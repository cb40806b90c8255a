"""The error tree: as drawn, every leaf settled for retries, every message with its three parts."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from typing import Any

import pytest

from ticktrail import errors
from ticktrail.errors import ConfigError, Terminal, TicktrailError, Transient, Unreachable


def subclasses(error: type[TicktrailError]) -> list[type[TicktrailError]]:
    """List a class and everything below it, in the order in which the drawing has them."""
    return [error, *(below for child in error.__subclasses__() for below in subclasses(child))]


ALL = subclasses(TicktrailError)
ABSTRACT = {TicktrailError, Transient, Terminal}
RAISED = [error for error in ALL if error not in ABSTRACT]

# One value per type of field, so that any error can be built.
VALUES: dict[str, Any] = {"str": "text", "int": 7, "int | None": None}


def built(error: type[TicktrailError], **fields: Any) -> TicktrailError:
    values = {field.name: VALUES[str(field.type)] for field in dataclasses.fields(error)}
    return error(**{**values, **fields})


def drawn_tree() -> dict[str, str]:
    """Read class → parent from the drawing at the top of the module."""
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        if found := re.match(r"    ([│├└─ ]*)([A-Z]\w+)  ", line):
            depth, name = len(found[1]), found[2]
            while stack and stack[-1][0] >= depth:
                stack.pop()
            parents[name] = stack[-1][1] if stack else "Exception"
            stack.append((depth, name))
    return parents


def test_the_drawing_is_the_tree() -> None:
    assert drawn_tree() == {error.__name__: error.__bases__[0].__name__ for error in ALL}


def test_the_drawing_tells_what_each_docstring_tells() -> None:
    drawing = errors.__doc__ or ""
    assert all(f"{error.__name__}  " in drawing and error.__doc__ for error in ALL)


def test_every_class_is_exported() -> None:
    assert set(errors.__all__) == {error.__name__ for error in ALL}


@pytest.mark.parametrize("error", RAISED)
def test_every_error_is_either_transient_or_terminal(error: type[TicktrailError]) -> None:
    assert issubclass(error, Transient) != issubclass(error, Terminal)


@pytest.mark.parametrize("error", RAISED)
def test_every_error_carries_what_why_and_next_step(error: type[TicktrailError]) -> None:
    raised = built(error, what="Cannot do it", why="it is broken", next_step="Mend it.")
    assert str(raised) == "Cannot do it: it is broken. Mend it."


@pytest.mark.parametrize(
    ("why", "next_step", "message"),
    [
        ("", "", "Cannot do it."),
        ("it is broken", "", "Cannot do it: it is broken."),
        ("", "Mend it.", "Cannot do it. Mend it."),
    ],
)
def test_parts_that_are_not_known_leave_no_trace(why: str, next_step: str, message: str) -> None:
    assert str(TicktrailError(what="Cannot do it", why=why, next_step=next_step)) == message


@pytest.mark.parametrize("error", RAISED)
def test_fields_are_given_by_name_and_are_required_where_they_matter(error: type[TicktrailError]) -> None:
    with pytest.raises(TypeError):
        error("Cannot do it")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="what"):
        error()  # type: ignore[call-arg]


def test_the_fields_are_there_for_whoever_catches_it() -> None:
    with pytest.raises(Unreachable) as caught:
        raise Unreachable(what="Cannot reach Kafka", service="Kafka", address="localhost:9092")
    assert (caught.value.service, caught.value.address) == ("Kafka", "localhost:9092")


@pytest.mark.parametrize("error", RAISED)
@pytest.mark.parametrize("copied", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])
def test_errors_pass_from_process_to_process(error: type[TicktrailError], copied: Any) -> None:
    original = built(error)
    twin = copied(original)
    assert type(twin) is error
    assert dataclasses.asdict(twin) == dataclasses.asdict(original)


def test_errors_are_told_apart_by_identity() -> None:
    # As other exceptions are: two failures are two, even with the same words.
    first, second = (ConfigError(what="x", key="k", source="s") for _ in range(2))
    assert first != second
    assert len({first, second}) == 2
