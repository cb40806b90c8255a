"""Recorded files as a feed: LEAN zips, CSV, Parquet, captures."""

from ticktrail.feeds.file.captures import encode_capture
from ticktrail.feeds.file.config import FileSettings
from ticktrail.feeds.file.feed import FileFeed, make_feed
from ticktrail.feeds.file.opening import READ_ERRORS, unreadable
from ticktrail.feeds.file.scan import find_files

__all__ = [
    "READ_ERRORS",
    "FileFeed",
    "FileSettings",
    "encode_capture",
    "find_files",
    "make_feed",
    "unreadable",
]
