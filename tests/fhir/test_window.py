"""The windows as arithmetic."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from opensrp_dhis2.extract import Extraction
from opensrp_dhis2.fhir.window import BEGINNING, Window, instant, joined, next_window
from tests.support.fhir_recording import read_recording

NOW = datetime(2026, 11, 21, 2, 0, 0, 123_456, tzinfo=UTC)
instants = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
counts = st.lists(st.integers(0, 50), max_size=30)


def test_first_window_reads_from_the_beginning_to_some_lag_before_the_servers_clock() -> None:
    window = next_window(None, NOW, lag_seconds=600, overlap_seconds=3600)
    assert window == Window(BEGINNING, datetime(2026, 11, 21, 1, 50, 0, 123_000, tzinfo=UTC))


def test_next_window_begins_some_overlap_before_the_watermark() -> None:
    read_to = datetime(2026, 11, 20, tzinfo=UTC)
    window = next_window(read_to, NOW, lag_seconds=600, overlap_seconds=3600)
    assert window is not None
    assert window.start_at == read_to - timedelta(seconds=3600)


def test_without_overlap_a_watermark_within_the_lag_leaves_nothing_to_read() -> None:
    assert next_window(NOW, NOW, lag_seconds=600, overlap_seconds=0) is None


def test_26_commit_lag_is_shorter_than_the_lag_and_what_takes_longer_lies_in_the_overlap(shared: Path) -> None:
    observed = read_recording(shared, "26-commit-lag").observed
    stamp = datetime.fromisoformat(observed["stamp"])
    visible_at = stamp + timedelta(seconds=observed["first visible to a search, s after stamp"])
    usual = Extraction()
    how = {"lag_seconds": usual.lag_seconds, "overlap_seconds": usual.overlap_seconds}
    before, hasty = (
        next_window(None, visible_at, **how),
        next_window(None, visible_at, lag_seconds=0, overlap_seconds=0),
    )
    assert before is not None
    assert hasty is not None
    assert before.end_at < stamp < hasty.end_at  # no run that came too early has passed the stamp
    after = next_window(hasty.end_at, visible_at + timedelta(days=1), **how)
    assert after is not None
    assert after.start_at < stamp


def test_instants_are_written_in_utc_to_the_millisecond_and_cut_not_rounded() -> None:
    at = datetime(2026, 11, 21, 5, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=3)))
    assert instant(at) == "2026-11-21T02:00:00.999Z"


@given(now=instants, pause=st.integers(0, 10**6), lag=st.integers(0, 10**6), overlap=st.integers(0, 10**6))
def test_windows_that_follow_each_other_leave_no_gap(now: datetime, pause: int, lag: int, overlap: int) -> None:
    first = next_window(None, now, lag_seconds=lag, overlap_seconds=overlap)
    assert first is not None
    later = now + timedelta(seconds=pause)
    second = next_window(first.end_at, later, lag_seconds=lag, overlap_seconds=overlap)
    if second is None:
        assert pause == overlap == 0
    else:
        assert second.start_at == first.end_at - timedelta(seconds=overlap)
        assert first.end_at <= second.end_at <= later - timedelta(seconds=lag)


@given(start_at=instants, seconds=st.floats(0.001, 10**8))
def test_halves_meet_at_a_millisecond_and_cover_the_whole(start_at: datetime, seconds: float) -> None:
    window = Window(start_at, start_at + timedelta(seconds=seconds))
    halves = window.halves()
    if halves is not None:
        first, second = halves
        assert (first.start_at, second.end_at) == (window.start_at, window.end_at)
        assert first.end_at == second.start_at
        assert first.end_at.microsecond % 1000 == 0


def test_one_millisecond_cannot_be_halved() -> None:
    assert Window(BEGINNING, BEGINNING + timedelta(milliseconds=1)).halves() is None


@given(counts=counts, limit=st.integers(1, 100))
def test_joined_slices_cover_the_same_time_and_exceed_the_limit_only_where_one_part_did(
    counts: list[int], limit: int
) -> None:
    days = [BEGINNING + timedelta(days=number) for number in range(len(counts) + 1)]
    parts = [(Window(a, b), count) for a, b, count in zip(days, days[1:], counts, strict=False)]
    counted = list(joined(parts, limit))
    slices = [window for window, _ in counted]
    assert [one.start_at for one in slices[1:]] == [one.end_at for one in slices[:-1]]
    assert [slices[0].start_at, slices[-1].end_at] == [days[0], days[-1]] if counts else slices == []
    for one in slices:
        held = [count for window, count in parts if one.start_at <= window.start_at < one.end_at]
        assert (one, sum(held)) in counted
        assert sum(held) <= limit or len(held) == 1
