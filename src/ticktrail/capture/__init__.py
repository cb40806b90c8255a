"""Feeds to Kafka."""

from ticktrail.capture.assembly import Assembly
from ticktrail.capture.runner import Capture
from ticktrail.capture.sender import Direct, Sender

__all__ = ["Assembly", "Capture", "Direct", "Sender"]
