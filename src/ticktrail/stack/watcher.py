"""Stop the servers when the program that started them is gone, however it went.

Run as a script beside a bound stack (``python watcher.py PARENT_PID DATA_DIR``), in a session of its own,
so that even a `kill -9` of the parent's whole process group leaves it alive to clean up. The kernel's own
parent-death signal was rejected: it fires when the parent's *thread* ends, and gives no orderly stop.

Only the standard library and psutil are imported here, and nothing of ticktrail: this process lives as long
as the stack and should stay small.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

__all__ = ["ENDPOINTS_FILE", "STOP_DEADLINE_S", "has_ended", "owned_processes", "stop_processes"]

ENDPOINTS_FILE = "endpoints.json"
POLL_S = 0.2
STOP_POLL_S = 0.02
STOP_DEADLINE_S = 30.0
"""A clean stop takes Kafka 0.3 s and Cassandra 2.7 s; a laptop under load may need ten times that."""


def owned_processes(data_dir: Path, name: str = "") -> list[psutil.Process]:
    """Find the live processes that a stack on `data_dir` started.

    They are known by their first argument, a generated file under ``data_dir/conf``, so neither a recycled
    process id nor a lost state file can confuse them with others.

    Parameters
    ----------
    data_dir
        The stack's data directory, resolved.
    name
        Only those of this generated file: ``"kafka.args"``; empty for all.
    """
    marks = (f"@{data_dir}/conf/{name}", f"{data_dir}/conf/{name}")
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            if len(command) < 2 or process.status() == psutil.STATUS_ZOMBIE:
                continue
        except psutil.Error:
            continue  # gone meanwhile, or another user's: not ours either way
        program = Path(command[0]).name
        if (program == "java" and command[1].startswith(marks[0])) or (
            program == "sh" and command[1].startswith(marks[1])
        ):
            found.append(process)
    return found


def stop_processes(processes: list[psutil.Process], deadline_s: float) -> list[psutil.Process]:
    """Ask to end, wait, then kill.

    Parameters
    ----------
    processes
        What to stop; those already gone are fine.
    deadline_s
        How long they may take to end by themselves.

    Returns
    -------
    list of psutil.Process
        Those that had to be killed.
    """
    for process in processes:
        _signal(process, signal.SIGTERM)
    late = _wait(processes, deadline_s)
    for process in late:
        _signal(process, signal.SIGKILL)
    _wait(late, deadline_s)
    return late


def has_ended(pid: int) -> bool:
    """Return whether a process runs no more, reaping it if it was a child of this one.

    A zombie has ended: where its parent is gone it waits for the system's first process, which in a
    container may take seconds to reap it, so `psutil.wait_procs` is of no use here. Its last thread must
    have ended, too: until then the ports of a killed server are still open.
    """
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        process = psutil.Process(pid)
        return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.NoSuchProcess:
        return True


def _wait(processes: list[psutil.Process], deadline_s: float) -> list[psutil.Process]:
    """Wait until all have ended; return those that have not by the deadline."""
    never = threading.Event()
    for _ in range(int(deadline_s / STOP_POLL_S)):
        processes = [process for process in processes if not has_ended(process.pid)]
        if not processes:
            break
        never.wait(STOP_POLL_S)
    return processes


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


def watch(parent_pid: int, data_dir: Path) -> None:
    """Wait until the parent is gone, then stop what the stack started.

    A normal `down` ends this process by SIGTERM, which is therefore blocked and waited for, not handled.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    while os.getppid() == parent_pid:
        if signal.sigtimedwait({signal.SIGTERM}, POLL_S) is not None:
            return
    stop_processes(owned_processes(data_dir), STOP_DEADLINE_S)
    (data_dir / ENDPOINTS_FILE).unlink(missing_ok=True)


if __name__ == "__main__":
    watch(int(sys.argv[1]), Path(sys.argv[2]))
