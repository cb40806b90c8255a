"""Venue letters against a vendor's list, and codes that never change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ticktrail.model.venues import CODES, MIC_OF_LETTER


def test_every_letter_has_a_code() -> None:
    assert set(MIC_OF_LETTER.values()) == set(CODES)


def test_codes_are_one_byte_and_without_holes() -> None:
    assert sorted(CODES.values()) == list(range(len(CODES)))
    assert len(CODES) <= 256


def test_codes_are_those_that_are_stored() -> None:
    # They are part of event ids: another code for a venue makes its old and new trades two events.
    first = "XASE XBOS XCIS FINR 24EQ EPRL XISE EDGA EDGX LTSE XCHI XNYS ARCX XNAS MEMX IEXG CBSX XPHL"
    assert list(CODES) == ["", *first.split(), "BATY", "BATS", "TXSE"]


def test_mics_look_like_mics() -> None:
    assert all(len(mic) == 4 and mic.isupper() for mic in CODES if mic)


@pytest.mark.recordings
def test_the_table_agrees_with_a_vendors(recordings_dir: Path) -> None:
    venues = json.loads((recordings_dir / "rest/polygon/v3_reference_exchanges.json").read_bytes())["results"]
    for venue in venues:
        letter, mic = venue["participant_id"], venue.get("mic", "")
        # The trade reporting facilities share one letter; here it stands for their operator.
        assert MIC_OF_LETTER[letter] == ("FINR" if letter == "D" else mic), venue["name"]
    assert len(venues) >= 20
