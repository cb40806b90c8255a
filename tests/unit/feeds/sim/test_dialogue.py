"""The dialogue without a socket: each documented answer."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from ticktrail.feeds.sim.dialogue import Answer, Dialogue

AUTH = {"action": "auth", "key": "k", "secret": "s"}


class Talk:
    def __init__(self, *, symbols_max: int = 0, is_text: bool = True, authenticated: bool = True) -> None:
        self.dialogue = Dialogue(key="k", secret="s", symbols_max=symbols_max, is_text=is_text)
        self._pack = (lambda value: json.dumps(value).encode()) if is_text else msgpack.packb
        if authenticated:
            assert self.say(AUTH).message == {"T": "success", "msg": "authenticated"}

    def say(self, message: Any, *, is_full: bool = False) -> Answer:
        return self.dialogue.answer(self._pack(message), is_full=is_full)

    def error(self, message: Any) -> tuple[int, str]:
        answer = self.say(message).message
        assert answer["T"] == "error"
        return answer["code"], answer["msg"]


@pytest.mark.parametrize("is_text", [True, False])
def test_welcome_authenticate_subscribe(is_text: bool) -> None:
    talk = Talk(is_text=is_text, authenticated=False)
    assert talk.dialogue.welcome() == {"T": "success", "msg": "connected"}
    assert talk.say(AUTH).message == {"T": "success", "msg": "authenticated"}
    answer = talk.say({"action": "subscribe", "trades": ["AAPL"], "quotes": ["AMD", "CLDR"], "bars": ["*"]})
    assert answer.subscribes
    assert answer.message == {
        "T": "subscription",
        "trades": ("AAPL",),
        "quotes": ("AMD", "CLDR"),
        "bars": ("*",),
        "updatedBars": (),
        "dailyBars": (),
        "statuses": (),
        "lulds": (),
        "corrections": ("AAPL",),
        "cancelErrors": ("AAPL",),
    }


def test_subscriptions_add_up_and_are_taken_back() -> None:
    talk = Talk()
    talk.say({"action": "subscribe", "trades": ["A", "B"], "quotes": ["A"]})
    talk.say({"action": "subscribe", "trades": ["C", "A"]})
    assert talk.dialogue.subscription()["trades"] == ("A", "B", "C")
    answer = talk.say({"action": "unsubscribe", "trades": ["B", "never"], "quotes": ["A"]})
    assert answer.message["trades"] == answer.message["cancelErrors"] == ("A", "C")
    assert answer.message["quotes"] == ()


@pytest.mark.parametrize("payload", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'"auth"', b"[" * 1000])
def test_what_is_no_message_is_invalid_syntax(payload: bytes) -> None:
    for authenticated in (True, False):
        talk = Talk(authenticated=authenticated)
        assert talk.dialogue.answer(payload, is_full=False).message["code"] == 400


def test_errors() -> None:
    stranger = Talk(authenticated=False)
    assert stranger.error({"action": "subscribe", "trades": ["A"]}) == (401, "not authenticated")
    assert stranger.error({"action": "dance"}) == (401, "not authenticated")
    assert stranger.error(AUTH | {"secret": "wrong"}) == (402, "auth failed")
    assert stranger.error({"action": "auth"}) == (402, "auth failed")
    talk = Talk()
    assert talk.error(AUTH) == (403, "already authenticated")
    assert talk.error({"action": "dance"}) == (400, "invalid syntax")
    assert talk.error({"action": "subscribe", "trades": "A"}) == (400, "invalid syntax")
    assert talk.error({"action": "subscribe", "trades": [1]}) == (400, "invalid syntax")
    assert talk.error({"action": "subscribe"}) == (410, "invalid subscribe action for this feed")
    assert talk.error({"action": "subscribe", "orderbooks": ["A"]}) == (
        410,
        "invalid subscribe action for this feed",
    )
    assert not any(talk.dialogue.subscription().values())


def test_wrong_keys_leave_the_chance_to_send_the_right_ones() -> None:
    talk = Talk(authenticated=False)
    assert not talk.say(AUTH | {"key": "wrong"}).closes
    assert talk.say(AUTH).message["msg"] == "authenticated"


def test_the_connection_limit_ends_the_connection() -> None:
    answer = Talk(authenticated=False).say(AUTH, is_full=True)
    assert (answer.message["code"], answer.message["msg"]) == (406, "connection limit exceeded")
    assert answer.closes


def test_the_symbol_limit_is_per_channel_and_leaves_the_subscription_alone() -> None:
    talk = Talk(symbols_max=2)
    talk.say({"action": "subscribe", "trades": ["A", "B"], "quotes": ["C", "D"], "bars": ["*"]})
    for refused in ({"trades": ["C"]}, {"quotes": ["*"]}):
        assert talk.error({"action": "subscribe", **refused}) == (405, "symbol limit exceeded")
    assert talk.dialogue.subscription()["trades"] == ("A", "B")
    assert talk.say({"action": "unsubscribe", "trades": ["A"]}).subscribes
    assert talk.say({"action": "subscribe", "trades": ["C"]}).subscribes
