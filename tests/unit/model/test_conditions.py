"""The tables of sale conditions against the published rules, and how conditions combine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ticktrail.model import Flag
from ticktrail.model.conditions import CTA, UTP, is_known_condition, sale_condition_flags

LAST, HIGH_LOW, VOLUME = Flag.UPDATES_LAST, Flag.UPDATES_HIGH_LOW, Flag.UPDATES_VOLUME
ALL = LAST | HIGH_LOW | VOLUME

# The matrices of both plans, column "consolidated", sorted by what they allow (sources: conditions.py).
PUBLISHED = {
    "CTA": {
        ALL: " @EFKLOX56",
        HIGH_LOW | VOLUME: "PZ4",
        VOLUME: "BCHINRTUV7",
        LAST | HIGH_LOW: "9",
        Flag(0): "MQ",
    },
    "UTP": {
        ALL: " @ABDFKLOSXY1256",
        HIGH_LOW | VOLUME: "GPZ34",
        VOLUME: "CHINRTUVW7",
        LAST | HIGH_LOW: "9",
        Flag(0): "MQ",
    },
}
TABLES = {"CTA": CTA, "UTP": UTP}


@pytest.mark.parametrize("plan", ["CTA", "UTP"])
def test_the_table_is_the_published_one(plan: str) -> None:
    expected = {letter: flags for flags, letters in PUBLISHED[plan].items() for letter in letters}
    assert expected == TABLES[plan]


@pytest.mark.recordings
@pytest.mark.parametrize("plan", ["CTA", "UTP"])
def test_the_table_agrees_with_a_vendors(plan: str, recordings_dir: Path) -> None:
    path = recordings_dir / "rest/polygon/v3_reference_conditions_asset_class=stocks.json"
    compared = 0
    for condition in json.loads(path.read_bytes())["results"]:
        letter = condition["sip_mapping"].get(plan)
        # Legacy: I was CAP election on CTA until it became the odd lot in 2013.
        if letter is None or condition.get("legacy"):
            continue
        rules = condition["update_rules"]["consolidated"]
        bits = {"updates_open_close": LAST, "updates_high_low": HIGH_LOW, "updates_volume": VOLUME}
        allowed = Flag(sum(bit for rule, bit in bits.items() if rules[rule]))
        assert TABLES[plan][letter] == allowed, condition["name"]
        compared += 1
    assert compared >= 5


@pytest.mark.parametrize(
    ("tape", "conditions", "allowed"),
    [
        ("A", "", ALL),
        ("A", " ", ALL),
        ("C", "@", ALL),
        ("C", "@,F", ALL),
        ("C", "@,I", VOLUME),
        ("C", "@,T,I", VOLUME),
        ("C", "@,4", HIGH_LOW | VOLUME),
        ("C", "@,9", LAST | HIGH_LOW),
        ("C", "9,4", HIGH_LOW),
        ("A", " ,M", Flag(0)),
        ("A", "7,V", VOLUME),
        # One letter, two meanings: an average price on CTA, a bunched trade on UTP.
        ("A", "B", VOLUME),
        ("B", "B", VOLUME),
        ("C", "B", ALL),
    ],
)
def test_a_trade_may_do_what_all_its_conditions_allow(tape: str, conditions: str, allowed: Flag) -> None:
    assert sale_condition_flags(tape, conditions) == allowed


def test_the_order_of_conditions_does_not_matter() -> None:
    assert sale_condition_flags("C", "4,9") == sale_condition_flags("C", "9,4")


def test_an_unknown_condition_allows_everything_but_is_known_to_be_unknown() -> None:
    assert sale_condition_flags("A", "?") == ALL
    assert not is_known_condition("A", "?")
    assert is_known_condition("A", "E")
    assert not is_known_condition("C", "E")


def test_outside_the_tapes_utp_is_read() -> None:
    assert sale_condition_flags("", "W") == VOLUME
    assert is_known_condition("", "W")
