"""The search for rejected values and the size of requests, played against a server made of one rule."""

from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensrp_dhis2.outbox.pacing import MAX_SILENT_IN_A_ROW, Pace, RequestOutcome, even_share


def play(
    values: list[int], rejected: set[int], pace: Pace, *, cause: str | None = None
) -> tuple[int, set[int], set[int]]:
    """Send values until none is pending, to a server that takes a request only when no rejected value is in it."""
    pending, accepted, refused, requests = list(values), set[int](), set[int](), 0
    while pending and not pace.gave_up:
        size, skip = pace.next_cut(len(pending))
        sent = pending[skip : skip + size]
        assert sent
        requests += 1
        if not rejected & {*sent}:
            accepted |= {*sent}
            pace.record(RequestOutcome.TAKEN, len(sent), accepted=len(sent))
        elif len(sent) == 1:
            refused |= {*sent}
            pace.record(RequestOutcome.TAKEN, 1)
        else:
            pace.record(RequestOutcome.NAMELESS, len(sent), cause=cause)
            continue
        pending = [value for value in pending if value not in accepted | refused]
    return requests, accepted, refused


@given(st.integers(2, 2000), st.data())
def test_one_rejected_value_costs_at_most_2_log2_n_plus_4_further_requests(n: int, data: st.DataObject) -> None:
    rejected = data.draw(st.integers(0, n - 1))
    for cause in (None, "E9999"):
        requests, accepted, refused = play(list(range(n)), {rejected}, Pace(n), cause=cause)
        assert (accepted, refused) == ({*range(n)} - {rejected}, {rejected})
        assert requests - 1 <= 2 * log2(n) + 4


@given(st.integers(50, 600), st.data())
def test_every_good_value_gets_in_beside_many_rejected_ones_without_a_code(n: int, data: st.DataObject) -> None:
    rejected = data.draw(st.sets(st.integers(0, n - 2), max_size=20))
    _, accepted, refused = play(list(range(n)), rejected, Pace(100))
    assert (accepted, refused) == ({*range(n)} - rejected, rejected)


def test_a_code_that_both_halves_share_is_reported_after_three_requests() -> None:
    pace = Pace(1000)
    requests, accepted, refused = play(list(range(1000)), {*range(1000)}, pace, cause="E8012")
    assert (requests, accepted, refused, pace.gave_up) == (3, set(), set(), True)


def test_a_server_that_takes_nothing_is_given_up() -> None:
    pace = Pace(1000)
    requests, accepted, refused = play(list(range(5000)), {*range(5000)}, pace)
    assert pace.gave_up
    assert not accepted
    assert requests < 50
    assert len(refused) == 4


def test_silence_halves_the_size_and_success_doubles_it_again() -> None:
    pace, sizes = Pace(1000), []
    for outcome in (
        RequestOutcome.SILENT,
        RequestOutcome.SILENT,
        RequestOutcome.TAKEN,
        RequestOutcome.TAKEN,
        RequestOutcome.TAKEN,
    ):
        size, _ = pace.next_cut(100_000)
        sizes.append(size)
        pace.record(outcome, size, accepted=size if outcome is RequestOutcome.TAKEN else 0)
    assert sizes == [1000, 500, 250, 500, 1000]
    for _ in range(MAX_SILENT_IN_A_ROW):
        assert not pace.is_dead
        pace.record(RequestOutcome.SILENT, 1000)
    assert pace.is_dead


@pytest.mark.parametrize(
    ("pending", "share"), [(9900, 1100), (1000, 1000), (1900, 950), (1100, 1100), (7, 7), (2001, 1001)]
)
def test_values_are_spread_evenly_over_as_few_requests_as_may_be(pending: int, share: int) -> None:
    assert even_share(pending, 1000) == share


def test_ten_thousand_values_of_a_new_period_take_ten_requests() -> None:
    requests, accepted, _ = play(list(range(10_000)), set(), Pace(1000, first=100))
    assert (requests, len(accepted)) == (10, 10_000)
