"""librdkafka without its Python client: many values in one call, acknowledgements by the batch.

The Python client takes each value out of a dictionary and calls back for each that is acknowledged; at full
speed that costs more than all else that capture does. Here a batch is an array of `MESSAGE`, as C has it, and
what a broker acknowledged together comes as one `Delivered`. The library is the very one that the Python
client brings; names and layouts are those of its public header ``rdkafka.h``, which has kept them since 1.0.
"""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Mapping
from ctypes import POINTER, Structure, Union, c_char_p, c_int, c_int32, c_int64, c_size_t, c_ssize_t, c_void_p
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, KafkaException, cimpl

__all__ = ["MESSAGE", "Delivered", "NativeProducer"]

_PRODUCER = 0
_CONF_OK = 0
_COPY = 0x2  # RD_KAFKA_MSG_F_COPY: our memory is free again when the call returns
_PURGE_ALL = 0x1 | 0x2  # RD_KAFKA_PURGE_F_QUEUE, RD_KAFKA_PURGE_F_INFLIGHT
_DELIVERY, _LOG, _ERROR, _STATISTICS = 0x1, 0x4, 0x8, 0x40  # RD_KAFKA_EVENT_…
_TOPIC, _PARTITION, _VALUE, _KEY, _FLAGS, _HEADER = 1, 3, 4, 5, 7, 9  # RD_KAFKA_VTYPE_…
_TEXT_BYTES_MAX = 512
# By the level of syslog.
_LEVELS = (*[logging.CRITICAL] * 3, logging.ERROR, logging.WARNING, *[logging.INFO] * 2, logging.DEBUG)


class _Message(Structure):
    _fields_ = (
        ("err", c_int),
        ("rkt", c_size_t),
        ("partition", c_int32),
        ("payload", c_size_t),
        ("len", c_size_t),
        ("key", c_size_t),
        ("key_len", c_size_t),
        ("offset", c_int64),
        ("private", c_size_t),
    )


MESSAGE = np.dtype(_Message)
"""``rd_kafka_message_t``; `payload` and `key` are addresses, 0 for none."""


class _Memory(Structure):
    _fields_ = (("data", c_char_p), ("size", c_size_t))


class _Header(Structure):
    _fields_ = (("name", c_char_p), ("data", c_char_p), ("size", c_ssize_t))


class _Content(Union):
    _fields_ = (
        ("text", c_char_p),
        ("number", c_int32),
        ("memory", _Memory),
        ("header", _Header),
        ("room", ctypes.c_char * 64),
    )


class _Argument(Structure):
    """``rd_kafka_vu_t``: one property of a message."""

    _fields_ = (("kind", c_int), ("content", _Content))


# Name → what it gives and takes.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "conf_new": (c_void_p,),
    "conf_destroy": (None, c_void_p),
    "conf_set": (c_int, c_void_p, c_char_p, c_char_p, c_char_p, c_size_t),
    "conf_set_events": (None, c_void_p, c_int),
    "new": (c_void_p, c_int, c_void_p, c_char_p, c_size_t),
    "destroy": (None, c_void_p),
    "set_log_queue": (c_int, c_void_p, c_void_p),
    "queue_get_main": (c_void_p, c_void_p),
    "queue_destroy": (None, c_void_p),
    "queue_poll": (c_void_p, c_void_p, c_int),
    "topic_new": (c_void_p, c_void_p, c_char_p, c_void_p),
    "topic_destroy": (None, c_void_p),
    "topic_name": (c_char_p, c_size_t),
    "produce_batch": (c_int, c_void_p, c_int32, c_int, c_void_p, c_int),
    "produceva": (c_void_p, c_void_p, POINTER(_Argument), c_size_t),
    "purge": (c_int, c_void_p, c_int),
    "fatal_error": (c_int, c_void_p, c_char_p, c_size_t),
    "error_code": (c_int, c_void_p),
    "error_string": (c_char_p, c_void_p),
    "error_destroy": (None, c_void_p),
    "event_type": (c_int, c_void_p),
    "event_destroy": (None, c_void_p),
    "event_error": (c_int, c_void_p),
    "event_error_string": (c_char_p, c_void_p),
    "event_log": (c_int, c_void_p, POINTER(c_char_p), POINTER(c_char_p), POINTER(c_int)),
    "event_stats": (c_char_p, c_void_p),
    "event_message_count": (c_size_t, c_void_p),
    "event_message_next": (POINTER(_Message), c_void_p),
}


def _functions() -> dict[str, Any]:
    # Through the client's own module, which is linked to it: wherever the library lies, it is found.
    library = ctypes.CDLL(cimpl.__file__)
    found = {}
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = getattr(library, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
        found[name] = function
    return found


_call = _functions()


class Delivered(NamedTuple):
    """Values of one partition that have come to their end together, in the order in which they were sent.

    Those that were refused may be of several partitions of the topic; `partition` is that of the first.

    Parameters
    ----------
    error
        None: they are acknowledged.
    """

    topic: str
    partition: int
    values: int
    error: KafkaError | None


class NativeProducer:
    """A producer; one thread may use it at a time.

    Parameters
    ----------
    config
        As the Python client takes it, with ``error_cb``, ``stats_cb`` and ``logger``; of these all are called
        inside `poll`.

    Raises
    ------
    KafkaException
        librdkafka cannot begin with these settings.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        values = dict(config)
        self._on_error, self._on_statistics = values.pop("error_cb"), values.pop("stats_cb")
        self._logger: logging.Logger = values.pop("logger")
        self._handle = _started({**values, "log.queue": True})
        self._queue = _call["queue_get_main"](self._handle)
        _call["set_log_queue"](self._handle, None)  # None: the main queue
        self._topics: dict[str, int] = {}
        self._end = weakref.finalize(self, _destroy, self._handle, self._queue, self._topics)
        self._end.atexit = False  # the system is quicker

    def produce(self, topic: str, partition: int, messages: npt.NDArray[np.void]) -> KafkaError | None:
        """Hand over values, in their order; tell why where some were not taken.

        Parameters
        ----------
        messages
            Shape ``(n,)``, contiguous, of `MESSAGE`. What they point at is copied.
        """
        count = len(messages)
        place = self._topic(topic)
        taken = _call["produce_batch"](place, partition, _COPY, messages.ctypes.data, count)
        if taken == count:
            return None
        codes = messages["err"]
        return KafkaError(int(codes[codes != 0][0]))

    def produce_one(
        self, topic: str, partition: int, key: bytes | None, value: bytes, headers: Mapping[str, bytes]
    ) -> KafkaError | None:
        """Hand over one value with headers; tell why where it was not taken."""
        arguments = [
            _Argument(_TOPIC, _Content(text=topic.encode())),
            _Argument(_PARTITION, _Content(number=partition)),
            _Argument(_VALUE, _Content(memory=_Memory(value, len(value)))),
            _Argument(_KEY, _Content(memory=_Memory(key, len(key or b"")))),
            _Argument(_FLAGS, _Content(number=_COPY)),
        ]
        for name, data in headers.items():
            header = _Header(name.encode(), data, len(data))
            arguments.append(_Argument(_HEADER, _Content(header=header)))
        vector = (_Argument * len(arguments))(*arguments)
        error = _call["produceva"](self._handle, vector, len(arguments))
        if not error:
            return None
        refused = KafkaError(_call["error_code"](error), _call["error_string"](error).decode())
        _call["error_destroy"](error)
        return refused

    def cause_of(self, error: KafkaError) -> KafkaError:
        """Give what made the producer unfit for good, where something has: other errors follow from it."""
        room = ctypes.create_string_buffer(_TEXT_BYTES_MAX)
        code = _call["fatal_error"](self._handle, room, _TEXT_BYTES_MAX)
        return KafkaError(code, room.value.decode(errors="replace")) if code else error

    def poll(self, timeout_s: float) -> list[Delivered]:
        """Take what has happened; wait so long for the first of it."""
        delivered: list[Delivered] = []
        timeout_ms = int(timeout_s * 1_000)
        while event := _call["queue_poll"](self._queue, timeout_ms):
            try:
                self._take(event, delivered)
            finally:
                _call["event_destroy"](event)
            timeout_ms = 0
        return delivered

    def close(self) -> None:
        """Forget what is not acknowledged, and end."""
        self._end()

    def _take(self, event: int, delivered: list[Delivered]) -> None:
        kind = _call["event_type"](event)
        if kind == _DELIVERY:
            code, count = _call["event_error"](event), _call["event_message_count"](event)
            first = _call["event_message_next"](event).contents
            topic = _call["topic_name"](first.rkt).decode()
            delivered.append(Delivered(topic, first.partition, count, KafkaError(code) if code else None))
        elif kind == _ERROR:
            self._on_error(self._error_of(event))
        elif kind == _STATISTICS:
            self._on_statistics(_call["event_stats"](event).decode())
        elif kind == _LOG:
            facility, text, level = c_char_p(), c_char_p(), c_int()
            _call["event_log"](event, facility, text, level)
            said = [(each.value or b"").decode(errors="replace") for each in (facility, text)]
            self._logger.log(_LEVELS[level.value], "%s [%s] %s", said[0], self._logger.name, said[1])

    def _error_of(self, event: int) -> KafkaError:
        code, text = _call["event_error"](event), _call["event_error_string"](event)
        error = KafkaError(code, text.decode(errors="replace"))
        return self.cause_of(error) if code == KafkaError._FATAL else error

    def _topic(self, name: str) -> int:
        if name not in self._topics:
            topic = _call["topic_new"](self._handle, name.encode(), None)
            if topic is None:
                raise KafkaException(KafkaError(KafkaError._INVALID_ARG, f"no name of a topic: {name}"))
            self._topics[name] = topic
        return self._topics[name]


def _started(config: Mapping[str, Any]) -> int:
    conf = _call["conf_new"]()
    text = ctypes.create_string_buffer(_TEXT_BYTES_MAX)
    for name, value in config.items():
        words = str(value).lower() if isinstance(value, bool) else str(value)
        if _call["conf_set"](conf, name.encode(), words.encode(), text, _TEXT_BYTES_MAX) != _CONF_OK:
            _call["conf_destroy"](conf)
            raise _unfit(text)
    _call["conf_set_events"](conf, _DELIVERY | _LOG | _ERROR | _STATISTICS)
    handle: int | None = _call["new"](_PRODUCER, conf, text, _TEXT_BYTES_MAX)
    if handle is None:
        _call["conf_destroy"](conf)
        raise _unfit(text)
    return handle


def _unfit(text: Any) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._INVALID_ARG, text.value.decode(errors="replace")))


def _destroy(handle: int, queue: int, topics: Mapping[str, int]) -> None:
    _call["purge"](handle, _PURGE_ALL)
    _call["queue_destroy"](queue)
    for topic in topics.values():
        _call["topic_destroy"](topic)
    _call["destroy"](handle)
