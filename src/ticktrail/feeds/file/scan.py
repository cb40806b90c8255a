"""Finding the files to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ticktrail.errors import FileFormatError
from ticktrail.feeds.file.config import FileSettings, Format
from ticktrail.feeds.file.opening import unreadable

__all__ = ["find_files", "format_of"]

_SUFFIXES: dict[str, Format] = {
    ".zip": "lean",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".ndjson": "capture",
    ".ndjson.gz": "capture",
    ".jsonl": "capture",
    ".jsonl.gz": "capture",
}


def format_of(path: Path) -> Format | None:
    """Tell a file's format by its name; None for a name that promises none."""
    name = path.name.lower()
    return next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)


def find_files(settings: FileSettings) -> tuple[Format, list[Path]]:
    """List the files that the settings name, sorted, all of one format.

    In directories, files whose names promise no known format are passed over, as are hidden ones. A
    file that is named itself is read in any case.

    Raises
    ------
    FileFormatError
        A path does not exist, there is nothing to read, or the files have several formats.
    """
    named = [Path(path).expanduser() for path in settings.paths]
    found: dict[Path, Format | None] = {}
    for path in named:
        try:
            if path.is_dir():
                found |= {file: form for file in _walk(path) if (form := format_of(file)) is not None}
            elif path.exists():
                found[path] = format_of(path)
            else:
                raise _no_such_path(path)
        except OSError as error:
            raise unreadable(path, error) from error
    if settings.format != "auto":
        chosen = [path for path, form in found.items() if form == settings.format or path in named]
        if not chosen:
            raise _nothing_to_read(named, settings.format)
        return settings.format, sorted(chosen)
    forms = sorted({form for form in found.values() if form is not None})
    if strange := [path for path, form in found.items() if form is None]:
        raise FileFormatError(
            what=f"Cannot tell what {strange[0]} holds",
            why="its name ends in none of " + ", ".join(_SUFFIXES),
            next_step="Set format to lean, csv, parquet or capture.",
            path=str(strange[0]),
        )
    if not forms:
        raise _nothing_to_read(named, "auto")
    if len(forms) > 1:
        raise FileFormatError(
            what=f"Cannot read {' and '.join(map(str, named))} at once",
            why=f"there are files of several formats: {', '.join(forms)}",
            next_step="Set format to one of them, and read the others after it.",
            path=str(named[0]),
        )
    return forms[0], sorted(found)


def _walk(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if path.is_symlink():
                continue  # it may lead back to here
            yield from _walk(path)
        else:
            yield path


def _no_such_path(path: Path) -> FileFormatError:
    return FileFormatError(
        what=f"Cannot read {path}",
        why="there is no such file or directory",
        next_step="Check the path; relative ones start at the working directory.",
        path=str(path),
    )


def _nothing_to_read(named: Sequence[Path], form: str) -> FileFormatError:
    kind = "recorded market data" if form == "auto" else f"{form} files"
    return FileFormatError(
        what=f"Found nothing to read in {', '.join(map(str, named))}",
        why=f"there are no {kind} (names that end in {', '.join(_SUFFIXES)})",
        next_step="Give the path of such files, or of a directory that holds them.",
        path=str(named[0]),
    )
