"""The user's cache of server jars: fetched once, each verified by its SHA-256.

A jar is whole or absent: it is downloaded into a staging directory, hashed, and only then moved to its place.
At every start each file's size and modification time are compared with those of its last verification; where
they differ the file is hashed again, and fetched again if it is not the one that the lock names.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ticktrail.clock import Clock
from ticktrail.errors import DiskFull, JarCorrupt, StackError, Unreachable
from ticktrail.stack.lock import Jar, JarLock, ServerJars, maven_context
from ticktrail.stack.progress import Progress
from ticktrail.stack.server import ServerClassPath

__all__ = ["JarStore", "download_with_jgo"]

DOWNLOADS_AT_ONCE = 8
"""Most jars are small, so latency dominates; more would look rude to Maven Central."""
ATTEMPTS = 4
RETRY_DELAY_S = 0.5
"""Doubles at each attempt, with jitter; four attempts span about 5 s."""

Download = Callable[[Jar, Path, Callable[[int], None]], Path]
"""Fetches a jar into a directory, calls back with the bytes of each piece, gives the file's path."""


class Cancelled(Exception):
    """Ends a download because another one failed or the user interrupted."""


def download_with_jgo(jar: Jar, directory: Path, received: Callable[[int], None]) -> Path:
    """Download one jar from Maven Central.

    Raises
    ------
    Unreachable
        When it cannot be had; worth another attempt.
    """
    import requests  # noqa: PLC0415 - only a fetch should pay for it; jgo raises its errors
    from jgo.maven import PythonResolver  # noqa: PLC0415

    @contextmanager
    def announce(_name: str, _size_bytes: int) -> Iterator[Callable[[int], None]]:
        yield received

    context = maven_context(directory)
    context.resolver = PythonResolver(progress_callback=announce)
    group, artifact, version, *classifier = jar.coordinate.split(":")
    file = (
        context.project(group, artifact)
        .at_version(version)
        .artifact(classifier=classifier[0] if classifier else "")
    )
    try:
        return Path(file.resolve())
    except (requests.RequestException, RuntimeError) as error:  # jgo's word for "not 200" is RuntimeError
        address = urlsplit(next(iter(context.remote_repos.values()))).netloc
        raise Unreachable(
            what=f"Cannot fetch {jar.coordinate} from Maven Central",
            why=str(error)[:300],
            next_step="Check the network (a proxy is taken from HTTPS_PROXY) and run the command again; "
            "what was fetched so far is kept.",
            service="Maven Central",
            address=address,
        ) from error


class JarStore:
    """The jars of a lock, in a cache directory.

    Parameters
    ----------
    lock
        Which jars.
    cache_dir
        Shared by all data directories of a user.
    clock
        Waits between attempts.
    download
        How one jar is fetched; tests give their own.
    """

    def __init__(
        self, lock: JarLock, cache_dir: Path, clock: Clock, download: Download = download_with_jgo
    ) -> None:
        self._lock = lock
        self._cache_dir = cache_dir
        self._jars_dir = cache_dir / "jars"
        self._stamps_path = self._jars_dir / "verified.json"
        self._clock = clock
        self._download = download

    def server(self, jars: ServerJars) -> ServerClassPath:
        """Return a server's jars as Java's ``-cp`` wants them."""
        paths = (str(self._jars_dir / jar.path) for jar in jars.jars)
        return ServerClassPath(version=jars.version, class_path=":".join(paths))

    def ensure(self, progress: Progress, *, rehash: bool = False) -> int:
        """Make every jar of the lock present and right.

        Parameters
        ----------
        progress
            Told of bytes and jars while fetching.
        rehash
            Hash every file, whatever its stamp says.

        Returns
        -------
        int
            Bytes fetched; 0 when all was there.

        Raises
        ------
        JarCorrupt
            When a jar was fetched twice and is not the one that the lock names.
        Unreachable
            When Maven Central cannot be reached.
        DiskFull, StackError
            When the cache cannot be written.
        """
        with self._exclusive():
            stamps = {} if rehash else self._read_stamps()
            missing = [jar for jar in self._lock.jars if not self._verified(jar, stamps)]
            if missing:
                self._fetch_all(missing, stamps, progress)
            self._write_stamps(stamps)
        return sum(jar.size_bytes for jar in missing)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Let one process at a time change the cache, and turn its disk errors into ours."""
        try:
            self._jars_dir.mkdir(parents=True, exist_ok=True)
            with (self._cache_dir / "fetch.lock").open("w") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(
                    what=f"No room left for the server jars in {self._cache_dir}",
                    why=f"they need {sum(jar.size_bytes for jar in self._lock.jars) // 1_000_000} MB",
                    next_step="Free some space, or set stack.cache_dir (TICKTRAIL_STACK__CACHE_DIR) "
                    "to another disk.",
                    path=str(self._cache_dir),
                    free_bytes=shutil.disk_usage(self._cache_dir).free,
                ) from error
            raise StackError(
                what=f"Cannot write the jar cache {self._cache_dir}",
                why=error.strerror or str(error),
                next_step="Make it writable, or set stack.cache_dir (TICKTRAIL_STACK__CACHE_DIR) "
                "to another directory.",
            ) from error

    def _verified(self, jar: Jar, stamps: dict[str, tuple[int, int, str]]) -> bool:
        path = self._jars_dir / jar.path
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        stamp = (stat.st_size, stat.st_mtime_ns, jar.sha256)
        if stamps.get(jar.path) == stamp:
            return True
        if stat.st_size != jar.size_bytes or _sha256(path) != jar.sha256:
            path.unlink()
            return False
        stamps[jar.path] = stamp
        return True

    def _fetch_all(
        self, missing: list[Jar], stamps: dict[str, tuple[int, int, str]], progress: Progress
    ) -> None:
        for leftover in self._cache_dir.glob("staging-*"):
            shutil.rmtree(leftover)
        meter = _Meter(missing, progress)
        staging = Path(tempfile.mkdtemp(prefix="staging-", dir=self._cache_dir))
        pool = ThreadPoolExecutor(DOWNLOADS_AT_ONCE, thread_name_prefix="fetch")
        try:
            largest_first = sorted(missing, key=lambda jar: -jar.size_bytes)
            futures = {pool.submit(self._fetch, jar, staging, meter): jar for jar in largest_first}
            for future in as_completed(futures):
                future.result()
                jar = futures[future]
                stat = (self._jars_dir / jar.path).stat()
                stamps[jar.path] = (stat.st_size, stat.st_mtime_ns, jar.sha256)
        finally:
            meter.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            shutil.rmtree(staging, ignore_errors=True)

    def _fetch(self, jar: Jar, staging: Path, meter: _Meter) -> None:
        """Download, verify, move into place; a wrong file is fetched once more."""
        for _ in range(2):
            path = self._download_patiently(jar, staging, meter)
            if _sha256(path) == jar.sha256:
                target = self._jars_dir / jar.path
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
                meter.jar_done(jar)
                return
            path.unlink()
        raise JarCorrupt(
            what=f"{jar.coordinate} is not the file that the lock names",
            why="it was fetched twice, and its SHA-256 was wrong both times",
            next_step="If a proxy or mirror stands between this machine and Maven Central, have it checked; "
            "otherwise report this.",
            path=str(self._jars_dir / jar.path),
        )

    def _download_patiently(self, jar: Jar, staging: Path, meter: _Meter) -> Path:
        """Download with capped, jittered backoff on an unreachable server."""
        for attempt in range(ATTEMPTS):
            try:
                return self._download(jar, staging, meter.of(jar))
            except Unreachable:
                # jgo writes in place: a broken download leaves a part that it would take for the jar.
                (staging / jar.path).unlink(missing_ok=True)
                if attempt == ATTEMPTS - 1:
                    raise
            delay_s = RETRY_DELAY_S * 2**attempt * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
            if self._clock.wait(meter.stop, delay_s):
                break
        raise Cancelled

    def _read_stamps(self) -> dict[str, tuple[int, int, str]]:
        try:
            return msgspec.json.decode(self._stamps_path.read_bytes(), type=dict[str, tuple[int, int, str]])
        except (FileNotFoundError, msgspec.DecodeError):
            return {}  # nothing is taken as verified, so every file is hashed again

    def _write_stamps(self, stamps: dict[str, tuple[int, int, str]]) -> None:
        content = msgspec.json.encode(stamps)
        if not self._stamps_path.exists() or self._stamps_path.read_bytes() != content:
            temporary = self._stamps_path.with_suffix(".new")
            temporary.write_bytes(content)
            temporary.replace(self._stamps_path)


class _Meter:
    """Counts what all downloads together have received."""

    def __init__(self, jars: list[Jar], progress: Progress) -> None:
        self.stop = threading.Event()
        self._progress = progress
        self._mutex = threading.Lock()
        self._received: dict[str, int] = dict.fromkeys((jar.path for jar in jars), 0)
        self._done = 0
        self._size_bytes = sum(jar.size_bytes for jar in jars)

    def of(self, jar: Jar) -> Callable[[int], None]:
        """Return a counter for one attempt at a jar; a new attempt counts from zero."""
        self._received[jar.path] = 0
        return lambda count: self._add(jar, count)

    def _add(self, jar: Jar, count: int) -> None:
        if self.stop.is_set():
            raise Cancelled
        with self._mutex:
            self._received[jar.path] += count
            self._tell()

    def jar_done(self, jar: Jar) -> None:
        with self._mutex:
            self._received[jar.path] = jar.size_bytes
            self._done += 1
            self._tell()

    def _tell(self) -> None:
        received = sum(self._received.values())
        self._progress(
            f"Fetching server jars: {self._done} of {len(self._received)}, "
            f"{received / 1e6:.0f} of {self._size_bytes / 1e6:.0f} MB",
            min(1.0, received / self._size_bytes),
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
