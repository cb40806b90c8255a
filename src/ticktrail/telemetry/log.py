"""Named events as structured logs on standard error.

An event is a name, ``"feed.connected"`` (room, dot, past tense or adjective), and fields; never a sentence
with values inside. For people it becomes a coloured line, for machines one JSON object per line.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

from ticktrail.clock import NS_PER_SECOND, NS_PER_US, Clock, SystemClock

__all__ = ["LOGGER_KEY", "Logger", "configure_logging", "get_logger"]

Logger = structlog.typing.FilteringBoundLogger
Event = MutableMapping[str, Any]

# The field that says which component speaks.
LOGGER_KEY = "component"

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
# A second net: what is secret should come as `ticktrail.config.Secret`, whose repr is stars already.
_SECRET_NAME = re.compile(
    r"(password|passphrase|secret|token|api_?key|authorization|credentials?)$", re.IGNORECASE
)
_STARS = "***"

_NUMBER = re.compile(r"\d+")
_REPEAT_NS = 10 * NS_PER_SECOND
# Remembered, of which one that is repeated is told from one that is new.
_SENTENCES_MAX = 1_000

_library_handler: logging.Handler | None = None


def get_logger(component: str) -> Logger:
    """Give the logger of a component; cheap, to be called at module level.

    Until `configure_logging` is called (ticktrail used as a library), warnings and errors alone are
    written, to standard error, unless the program has configured structlog itself.
    """
    if not structlog.is_configured():
        _configure_structlog("console", "warning", False, None, SystemClock())
    logger: Logger = structlog.get_logger(**{LOGGER_KEY: component})
    return logger


def configure_logging(
    *,
    log_format: str = "console",
    level: str = "info",
    color: bool = False,
    stream: TextIO | None = None,
    clock: Clock | None = None,
) -> None:
    """Set up logging for this process; a later call replaces an earlier one.

    Parameters
    ----------
    log_format
        ``"console"`` for people, ``"json"`` for machines.
    level
        The least level shown: ``"debug"``, ``"info"``, ``"warning"`` or ``"error"``.
    color
        Whether console lines are coloured (see `ticktrail.config.wants_color`).
    stream
        Where to write; None is whatever `sys.stderr` is at that moment (standard output belongs to
        results).
    clock
        Dates the lines.

    Notes
    -----
    Libraries that use the standard `logging` module (the drivers, websockets) are routed through the
    same formatter at warning and above, whatever `level` is: their debug output repeats payloads. The same
    sentence, whatever the numbers in it, is written once in ten seconds: while a server is away they repeat
    themselves at every try.
    """
    processors = _configure_structlog(log_format, level, color, stream, clock or SystemClock())
    _route_libraries(processors, stream, clock or SystemClock())


def _configure_structlog(
    log_format: str, level: str, color: bool, stream: TextIO | None, clock: Clock
) -> tuple[list[Any], Any]:
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _Dated(clock),
        _mask,
        _flatten_errors,
    ]
    renderer: Any
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(default=repr)
    else:
        # The plain traceback: the default one prints local variables, and so secrets.
        renderer = structlog.dev.ConsoleRenderer(
            colors=color, exception_formatter=structlog.dev.plain_traceback, pad_event_to=28
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_args: structlog.WriteLogger(stream or sys.stderr),
        # Loggers live at module level, from before the configuration is known.
        cache_logger_on_first_use=False,
    )
    return shared, renderer


def _route_libraries(processors: tuple[list[Any], Any], stream: TextIO | None, clock: Clock) -> None:
    global _library_handler  # noqa: PLW0603  the standard library's logging is global itself
    shared, renderer = processors
    handler = _LibraryHandler(stream, clock)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_name_library, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    if _library_handler is not None:
        root.removeHandler(_library_handler)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    _library_handler = handler


class _LibraryHandler(logging.Handler):
    """Writes where our own events go, also after `sys.stderr` was exchanged."""

    def __init__(self, stream: TextIO | None, clock: Clock) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._clock = clock
        self._due_ns: dict[tuple[str, str], int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_due(record):
            return
        line = self.format(record)
        print(line, file=self._stream or sys.stderr, flush=True)

    def _is_due(self, record: logging.LogRecord) -> bool:
        now_ns = self._clock.monotonic_ns()
        sentence = record.name, _NUMBER.sub("", record.getMessage())
        if now_ns < self._due_ns.get(sentence, now_ns):
            return False
        if len(self._due_ns) >= _SENTENCES_MAX:
            self._due_ns.clear()
        self._due_ns[sentence] = now_ns + _REPEAT_NS
        return True


class _Dated:
    """Adds the time, ISO 8601 in UTC with microseconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: Any, _method: str, event: Event) -> Event:
        seconds, rest_ns = divmod(self._clock.now_ns(), NS_PER_SECOND)
        instant = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_ns // NS_PER_US)
        event["timestamp"] = instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return event


def _name_library(_logger: Any, _method: str, event: Event) -> Event:
    record = event.get("_record")
    event[LOGGER_KEY] = record.name if isinstance(record, logging.LogRecord) else "library"
    return event


def _mask(_logger: Any, _method: str, event: Event) -> Event:
    for name, value in event.items():
        if value and _SECRET_NAME.search(name):
            event[name] = _STARS
    return event


def _flatten_errors(_logger: Any, method: str, event: Event) -> Event:
    """Turn exceptions in fields into text, and a current one (``exc_info``) into its traceback."""
    for name, value in event.items():
        if isinstance(value, BaseException) and name != "exc_info":
            event[name] = f"{type(value).__name__}: {value}"
    info = event.pop("exc_info", None)
    if info:
        error = info if isinstance(info, BaseException) else sys.exception()
        if isinstance(info, tuple):
            error = info[1]
        if error is not None:
            event["exception"] = "".join(traceback.format_exception(error)).rstrip()
    return event
