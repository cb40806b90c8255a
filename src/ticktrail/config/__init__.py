"""Typed settings: file < environment < flag; secrets masked."""

from ticktrail.config.load import Loaded, Row, describe, load
from ticktrail.config.outward import AlertsSettings, AlertTarget, ServeSettings, ServeToken, Watchlist
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
    "AlertTarget",
    "AlertsSettings",
    "BarsSettings",
    "CaptureSettings",
    "KafkaSettings",
    "Loaded",
    "PersistSettings",
    "Row",
    "Secret",
    "ServeSettings",
    "ServeToken",
    "Settings",
    "StackSettings",
    "StoreSettings",
    "TelemetrySettings",
    "Text",
    "Watchlist",
    "convert_section",
    "describe",
    "load",
    "unknown_setting",
    "wants_color",
]
