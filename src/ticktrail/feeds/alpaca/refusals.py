"""Alpaca's error codes as errors that say what to do.

Source: Alpaca documentation, "WebSocket Stream", section "Errors", read in 2026; code 411 from the official
Go client.
"""

from __future__ import annotations

from ticktrail.config.section import variable_of
from ticktrail.errors import FeedDisconnected, FeedRejected

__all__ = ["venue_error"]

_AGAIN = "It will be tried again."

# code: (why, next step) of what trying again cannot mend. "{keys}" and "{feed}" are filled in.
_REJECTIONS = {
    400: ("invalid syntax", "Alpaca did not understand the request; report this as a bug."),
    401: ("not authenticated", "Set {keys}."),
    402: ("authentication failed", "Check {keys}; keys for paper and live trading differ."),
    405: ("symbol limit exceeded", "Ask for fewer symbols, or use a plan that allows more."),
    408: ("version 2 of the stream is not enabled for this account", "Ask Alpaca to enable it."),
    409: ("the plan does not include this data", 'Set feeds.{feed}.plan to "iex", or upgrade the plan.'),
    410: ("this stream does not offer a kind that was asked for", "Ask for trades, quotes or bars only."),
    411: ("the key may not read market data", "Check {keys}; make a key with access to market data."),
}
# code: (why, next step) of what passes by itself.
_DISCONNECTIONS = {
    403: ("already authenticated", _AGAIN),
    404: ("authentication took too long", _AGAIN),
    406: (
        "connection limit exceeded: another connection with this key is open, or one that broke lingers",
        "Close other programs that use the key; it will be tried again.",
    ),
    407: (
        "slow client: records were sent faster than this machine took them, and may be missing",
        "It will connect again. If this returns, ask for fewer symbols or use a faster machine.",
    ),
    500: ("internal error at the venue", _AGAIN),
}


def venue_error(feed: str, code: int, text: str) -> FeedRejected | FeedDisconnected:
    """Make the error for a code.

    Codes that are not documented are taken as passing: a capture that retries, and says so, loses less
    than one that stops.

    Parameters
    ----------
    feed
        The feed's name.
    code, text
        As the venue sent them.
    """
    what = f"Feed {feed} was refused by the venue"
    if code in _REJECTIONS:
        why, next_step = _REJECTIONS[code]
        keys = " and ".join(variable_of(f"feeds.{feed}.{name}") for name in ("key", "secret"))
        return FeedRejected(
            what=what,
            why=f"{why} (code {code})",
            next_step=next_step.format(keys=keys, feed=feed),
            feed=feed,
            code=code,
        )
    why, next_step = _DISCONNECTIONS.get(code, (_printable(text) or "no reason given", _AGAIN))
    return FeedDisconnected(what=what, why=f"{why} (code {code})", next_step=next_step, feed=feed, code=code)


def _printable(text: str) -> str:
    # The venue chose it: it must not forge log lines or fill them.
    return "".join(char if char.isprintable() else " " for char in text)[:200]
