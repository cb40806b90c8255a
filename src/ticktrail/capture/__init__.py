"""Feeds to Kafka."""

from ticktrail.capture.runner import Capture
from ticktrail.capture.sender import Sender

__all__ = ["Capture", "Sender"]
