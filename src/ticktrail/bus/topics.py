"""Names of the topics, and what each is made with."""

from __future__ import annotations

from dataclasses import dataclass

from ticktrail.config import KafkaSettings
from ticktrail.model import Alert, Bar, Correction, Gap, Quote, Record, Status, Trade

__all__ = ["Topics", "message_key"]

_SUFFIX: dict[type[Record], str] = {
    Trade: "trades.v1",
    Correction: "trades.v1",
    Quote: "quotes.v1",
    Status: "status.v1",
    Bar: "bars.v1",
    Gap: "gaps.v1",
    Alert: "alerts.v1",
}


@dataclass(frozen=True, kw_only=True)
class Topics:
    """The topics of one installation.

    Parameters
    ----------
    prefix
        First part of every name: ``"ticktrail"``.
    """

    prefix: str

    @staticmethod
    def of(settings: KafkaSettings) -> Topics:
        """Take the prefix from the settings."""
        return Topics(prefix=settings.topic_prefix)

    def for_record(self, record: type[Record]) -> str:
        """Name the topic in which records of this type travel. Heartbeats travel in several."""
        return f"{self.prefix}.{_SUFFIX[record]}"

    @property
    def vendor_bars(self) -> str:
        """Bars as the vendors send them; they never mix with those that are built here."""
        return f"{self.prefix}.vendor-bars.v1"

    @property
    def trades(self) -> str:
        """Trades, corrections and heartbeats."""
        return self.for_record(Trade)

    @property
    def gaps(self) -> str:
        """The ledger: gaps, and heartbeats that prove what is covered, keyed by the feed's name."""
        return self.for_record(Gap)

    @property
    def alerts(self) -> str:
        """Alerts, keyed by their ids: one id may come twice, and is one alert."""
        return self.for_record(Alert)

    @property
    def timed(self) -> tuple[str, ...]:
        """The topics that carry heartbeats."""
        return tuple(self.for_record(record) for record in (Trade, Quote, Status))

    @property
    def records(self) -> tuple[str, ...]:
        """Every topic whose values are records."""
        own = dict.fromkeys(f"{self.prefix}.{suffix}" for suffix in _SUFFIX.values())
        return (*own, self.vendor_bars)

    @property
    def persisted(self) -> tuple[str, ...]:
        """What persist stores: everything but bars and alerts, which their own stages store."""
        own = {self.for_record(Bar), self.alerts}
        return tuple(name for name in self.records if name not in own)

    @property
    def dead_letters(self) -> str:
        """What could not be read or written, as it came, with the reason in the headers."""
        return f"{self.prefix}.dead-letters"

    def raw(self, feed: str) -> str:
        """Frames of a feed as received."""
        return f"{self.prefix}.raw.{feed}"


def message_key(feed: str, symbol: str) -> bytes:
    """Key of a record: all records of one symbol of one feed keep their order in one partition."""
    return f"{feed}|{symbol}".encode()
