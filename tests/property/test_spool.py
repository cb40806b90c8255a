"""The spool against a list: whatever is appended is read, in order, until it is done, whatever happens."""

from __future__ import annotations

import random
import struct
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ticktrail.capture.spool import Segment, Spool, SpoolFull, segment_paths
from ticktrail.testing import FakeClock

SEGMENT_BYTES = 200
BYTES_MAX = 1_500
HEADER_BYTES = 20


class Machine(RuleBasedStateMachine):
    """`kept` is every frame that is not done, in order; `read` those of them that wait to be done."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.count = 0
        self.appended: list[bytes] = []
        self.kept: list[bytes] = []
        self.read_out: list[tuple[bytes, Segment]] = []
        self.unread: list[bytes] = []
        self.again = False  # whether frames that are done may come once more
        self.spool = self.opened()

    def opened(self) -> Spool:
        self.found = segment_paths(self.path)
        return Spool(self.path, BYTES_MAX, FakeClock(), segment_bytes=SEGMENT_BYTES)

    def new(self, size_bytes: int) -> bytes:
        self.count += 1
        # Also bytes that look like headers of frames.
        return (
            struct.pack("<I", self.count)
            + random.Random(self.count).choice([b"tTs1", b"\0", b"x"]) * size_bytes
        )

    @rule(size_bytes=st.integers(0, 60))
    def append(self, size_bytes: int) -> None:
        payload = self.new(size_bytes)
        before = self.spool.size_bytes
        try:
            self.spool.append(payload, self.count)
        except SpoolFull:
            assert before + len(payload) + HEADER_BYTES > BYTES_MAX
            return
        assert before + len(payload) + HEADER_BYTES <= BYTES_MAX
        self.appended.append(payload)
        self.kept.append(payload)
        self.unread.append(payload)

    @precondition(lambda self: self.spool.is_read and not self.unread)
    @rule(sizes=st.lists(st.integers(0, 60), max_size=4))
    def append_what_the_caller_has(self, sizes: list[int]) -> None:
        for size_bytes in sizes:
            payload = self.new(size_bytes)
            try:
                segment = self.spool.append(payload, self.count)
            except SpoolFull:
                break
            self.appended.append(payload)
            self.kept.append(payload)
            self.read_out.append((payload, segment))
        self.spool.skip()

    @rule()
    def read(self) -> None:
        found = self.spool.read()
        while found is not None and self.again and found.payload not in self.kept:
            # Done before a crash, in a segment that was not: it comes again.
            assert found.payload in self.appended
            self.spool.done(found.segment)
            found = self.spool.read()
        if found is None:
            assert not self.unread
            assert self.spool.is_read
            return
        assert found.payload == self.unread.pop(0)
        assert found.ts_ns == struct.unpack("<I", found.payload[:4])[0]
        self.read_out.append((found.payload, found.segment))

    @precondition(lambda self: self.read_out)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        payload, segment = self.read_out.pop(data.draw(st.integers(0, len(self.read_out) - 1)))
        self.spool.done(segment)
        self.kept.remove(payload)

    @rule()
    def end_segment(self) -> None:
        self.spool.end_segment()

    @rule(
        torn=st.binary(max_size=30),
        how=st.sampled_from(["nothing", "frame", "zeros"]),
        size=st.integers(1, 70),
    )
    def crash(self, torn: bytes, how: str, size: int) -> None:
        """The process dies, perhaps in the middle of a write; another begins where the disk is."""
        assert not self.spool.damages
        tail = b""
        if how == "frame":
            whole = struct.pack("<4sIIq", b"tTs1", len(torn), 0, 1) + torn
            tail = whole[: min(size, len(whole) - 1)]
        elif how == "zeros":
            tail = bytes(size)
        paths = segment_paths(self.path)
        if paths and paths[-1] not in self.found:  # only the last one is ever written to
            with paths[-1].open("ab") as file:
                file.write(tail)
        self.spool = self.opened()
        self.read_out = []
        self.unread = list(self.kept)
        self.again = True

    @precondition(lambda self: self.spool.is_read and not self.unread and not self.read_out)
    @rule()
    def nothing_is_left_when_all_is_done(self) -> None:
        self.spool.end_segment()
        assert self.spool.size_bytes == 0
        assert segment_paths(self.path) == []
        assert self.spool.oldest_ns is None

    @invariant()
    def sizes_are_those_of_the_files(self) -> None:
        assert self.spool.size_bytes == sum(path.stat().st_size for path in segment_paths(self.path))
        assert not self.spool.damages, "a torn tail is no damage"

    def teardown(self) -> None:
        if hasattr(self, "spool"):
            # Whatever the way here: everything that is not done comes, in order.
            while True:
                found = self.spool.read()
                if found is None:
                    break
                if found.payload in self.kept and self.unread and found.payload == self.unread[0]:
                    self.unread.pop(0)
                else:
                    assert self.again
                    assert found.payload not in self.unread
            assert self.unread == []
            self.folder.cleanup()


Machine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestSpool = Machine.TestCase


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=50), min_size=1, max_size=12), st.data())
def test_a_changed_byte_costs_its_frame_and_no_other(payloads: list[bytes], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        spool = Spool(path, 10_000, FakeClock(), segment_bytes=150)
        for number, payload in enumerate(payloads):
            spool.append(payload, 100 + number)
        spool.end_segment()
        files = segment_paths(path)
        file = data.draw(st.sampled_from(files))
        content = bytearray(file.read_bytes())
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] ^= data.draw(st.integers(1, 255))
        file.write_bytes(content)
        # Which frame it is: the sizes tell.
        begin = sum(each.stat().st_size for each in files[: files.index(file)])
        ends = [sum(HEADER_BYTES + len(p) for p in payloads[: n + 1]) for n in range(len(payloads))]
        hit = next(n for n, end in enumerate(ends) if begin + at < end)
        spool = Spool(path, 10_000, FakeClock(), segment_bytes=150)
        found = []
        while (frame := spool.read()) is not None:
            found.append((frame.payload, frame.ts_ns))
            spool.done(frame.segment)
        assert found == [(p, 100 + n) for n, p in enumerate(payloads) if n != hit]
        if spool.torn_bytes:
            assert not spool.damages
            assert begin + file.stat().st_size == ends[hit] if file.exists() else True
            return
        (damage,) = spool.damages
        assert damage.size_bytes == HEADER_BYTES + len(payloads[hit])
        is_first_of_all = hit == 0
        assert damage.from_ns == (100 if is_first_of_all else 100 + hit - 1) or damage.from_ns == 100 + hit
        assert damage.to_ns == (0 if hit == len(payloads) - 1 else 100 + hit + 1)
        assert segment_paths(path) == []
        assert [each.suffix for each in path.iterdir()] == [".damaged"], "it is kept to be looked at"
