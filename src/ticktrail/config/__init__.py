"""Typed settings: file < environment < flag; secrets masked."""

from ticktrail.config.load import Loaded, Row, describe, load
from ticktrail.config.secret import Secret
from ticktrail.config.section import Text, convert_section, unknown_setting
from ticktrail.config.settings import (
    BarsSettings,
    CaptureSettings,
    KafkaSettings,
    PersistSettings,
    Settings,
    StackSettings,
    StoreSettings,
    TelemetrySettings,
)
from ticktrail.config.terminal import wants_color

__all__ = [
    "BarsSettings",
    "CaptureSettings",
    "KafkaSettings",
    "Loaded",
    "PersistSettings",
    "Row",
    "Secret",
    "Settings",
    "StackSettings",
    "StoreSettings",
    "TelemetrySettings",
    "Text",
    "convert_section",
    "describe",
    "load",
    "unknown_setting",
    "wants_color",
]
