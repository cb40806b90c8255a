"""Results of reads as raw pages, fetched ahead of their use.

The server answers one page of one partition on one core; several partitions at once, and each partition's
next page while the last one is decoded, keep it busy. What waits to be taken is bounded.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

from cassandra.cluster import ResponseFuture
from cassandra.policies import FallthroughRetryPolicy
from cassandra.protocol import ExecuteMessage, ResultMessage, _ProtocolHandler, read_int

from ticktrail.errors import TicktrailError
from ticktrail.store.decode import Page
from ticktrail.store.session import StoreSession, translated

__all__ = ["PageStream"]

# Some 3 MB of trades. Larger pages were no faster, pages of 5,000 rows 1.5 times slower.
_PAGE_ROWS = 20_000
# Pages of one stream that wait to be taken or are on their way, at most.
_PAGES_AHEAD_MAX = 2


class _RawResult(ResultMessage):  # type: ignore[misc]
    """A RESULT message whose rows stay bytes."""

    def recv_results_rows(
        self, f: Any, protocol_version: Any, user_type_map: Any, result_metadata: Any, column_encryption: Any
    ) -> None:
        del protocol_version, result_metadata, column_encryption
        self.recv_results_metadata(f, user_type_map)
        rows_count = read_int(f)
        self.column_names = self.column_types = ()
        self.parsed_rows = Page(f.read(), rows_count, self.paging_state)


class _RawHandler(_ProtocolHandler):  # type: ignore[misc]
    message_types_by_opcode = {  # noqa: RUF012 (the driver's own form)
        **_ProtocolHandler.message_types_by_opcode,
        _RawResult.opcode: _RawResult,
    }


class _RawResponse(ResponseFuture):  # type: ignore[misc]
    _protocol_handler = _RawHandler


class PageStream:
    """The pages of one statement, in order. Starts to fetch at once.

    Parameters
    ----------
    session
        Where to ask.
    prepared
        A prepared SELECT.
    values
        Its parameters.
    """

    def __init__(self, session: StoreSession, prepared: Any, values: tuple[Any, ...]) -> None:
        self._session = session
        self._statement = prepared.bind(values)
        self._arrived: SimpleQueue[Page | TicktrailError] = SimpleQueue()
        self._lock = threading.Lock()
        self._untaken = 0
        self._held_back: bytes | None = None
        self._request(None)

    def __iter__(self) -> Iterator[Page]:
        """Take the pages, once.

        Raises
        ------
        TicktrailError
            The server did not answer, or refused.
        """
        while True:
            page = self._arrived.get()
            if isinstance(page, TicktrailError):
                raise page
            with self._lock:
                self._untaken -= 1
                resume_at, self._held_back = self._held_back, None
            if resume_at is not None:
                self._request(resume_at)
            yield page
            if page.next_page is None:
                return

    def _request(self, paging_state: bytes | None) -> None:
        session = self._session
        prepared = self._statement.prepared_statement
        message = ExecuteMessage(
            prepared.query_id,
            self._statement.values,
            session.consistency,
            fetch_size=_PAGE_ROWS,
            paging_state=paging_state,
            skip_meta=True,
            result_metadata_id=prepared.result_metadata_id,
        )
        # One future per page: the driver's own paging starts the time-out for the first page only.
        response = _RawResponse(
            session.driver,
            message,
            self._statement,
            session.settings.timeout_s,
            retry_policy=FallthroughRetryPolicy(),
            row_factory=lambda _names, page: page,
            prepared_statement=prepared,
        )
        response.add_callbacks(self._take, self._fail)
        response.send_request()

    def _take(self, page: Page) -> None:
        # Runs on a thread of the driver.
        with self._lock:
            self._untaken += 1
            if self._untaken >= _PAGES_AHEAD_MAX:
                self._held_back = page.next_page
            ask = page.next_page is not None and self._held_back is None
        self._arrived.put(page)
        if ask:
            self._request(page.next_page)

    def _fail(self, error: Exception) -> None:
        self._arrived.put(translated(error, self._session.address))
