"""The figures of a period, worked out by hand, and by a second computation that shares nothing with the first: domain reference, sections 17.1
and 17.2.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm.summaries import figures as f
from crm.summaries.figures import Amount, Count, Number, Rate, Rows, figures_of, to_half
from crm.summaries.periods import Kind, Period


@pytest.mark.parametrize(
    ("code", "first", "last"),
    [
        ("2026-q1", "2026-01-01", "2026-03-31"),
        ("2026-q2", "2026-04-01", "2026-06-30"),
        ("2026-q3", "2026-07-01", "2026-09-30"),
        ("2026-q4", "2026-10-01", "2026-12-31"),
        ("2028-q1", "2028-01-01", "2028-03-31"),
    ],
)
def test_a_quarter_goes_from_its_first_day_to_its_last(code, first, last):
    period = Period.read(code)
    assert (period.first.isoformat(), period.last.isoformat()) == (first, last)
    assert period.code == code


@pytest.mark.parametrize(
    ("code", "start", "end"),
    [
        # Midnight in Montréal is 05:00 UTC in winter and 04:00 in summer: each quarter but the third crosses a change.
        ("2026-q1", datetime(2026, 1, 1, 5, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC)),
        ("2026-q3", datetime(2026, 7, 1, 4, tzinfo=UTC), datetime(2026, 10, 1, 4, tzinfo=UTC)),
        ("2026-q4", datetime(2026, 10, 1, 4, tzinfo=UTC), datetime(2027, 1, 1, 5, tzinfo=UTC)),
    ],
)
def test_a_quarter_begins_and_ends_at_midnight_in_montreal(code, start, end):
    assert Period.read(code).bounds == (start, end)


@pytest.mark.parametrize(
    ("code", "cut_off"),
    [
        ("2026-q1", "2026-04-15"),  # Good Friday is closed, Easter Monday is not
        ("2026-q2", "2026-07-15"),  # Canada Day
        ("2026-q3", "2026-10-15"),  # Thanksgiving
        ("2026-q4", "2027-01-15"),  # New Year's Day
    ],
)
def test_figures_are_taken_ten_business_days_after_the_quarter(code, cut_off):
    assert Period.read(code).cut_off.isoformat() == cut_off


@given(st.dates(date(2000, 1, 1), date(2100, 12, 31)))
def test_every_day_belongs_to_exactly_one_quarter(day):
    period = Period.of(day)
    assert period.first <= day <= period.last
    assert period.next.first == period.last + timedelta(days=1)
    assert period.next.previous == period
    assert Period.read(period.code) == period


@pytest.mark.parametrize(
    "code",
    [
        "",
        "2026",
        "2026-q0",
        "2026-q5",
        "2026-Q1",
        "26-q1",
        "2026-q",
        "2026-q11",
        "-q1",
        "0000-q1",
        "²026-q1",
        "2026-q1 ",
        "2026-h02",
        "2026-h1",
        "2026-y4",
    ],
)
def test_an_address_that_names_no_quarter_is_none(code):
    assert Period.read(code) is None


@pytest.mark.parametrize(
    ("day", "kind", "start", "code", "first", "last"),
    [
        (date(2026, 5, 1), Kind.HALF, 1, "2026-h01", "2026-01-01", "2026-06-30"),
        (date(2026, 7, 1), Kind.HALF, 1, "2026-h07", "2026-07-01", "2026-12-31"),
        (date(2026, 3, 31), Kind.HALF, 4, "2025-h10", "2025-10-01", "2026-03-31"),
        (date(2026, 4, 1), Kind.YEAR, 4, "2026-y04", "2026-04-01", "2027-03-31"),
        (date(2026, 3, 31), Kind.YEAR, 4, "2025-y04", "2025-04-01", "2026-03-31"),
        (date(2026, 12, 31), Kind.YEAR, 1, "2026-y01", "2026-01-01", "2026-12-31"),
        (date(2026, 9, 30), Kind.QUARTER, 10, "2026-q3", "2026-07-01", "2026-09-30"),
    ],
)
def test_halves_and_years_begin_where_the_fiscal_year_does(day, kind, start, code, first, last):
    period = Period.of(day, kind, start)
    assert (period.code, period.first.isoformat(), period.last.isoformat()) == (code, first, last)
    assert Period.read(code) == period
    assert period.next.previous == period
    assert period.next.first == period.last + timedelta(days=1)
    assert period.year_before.first == period.first.replace(year=period.first.year - 1)


@given(st.dates(date(2001, 1, 1), date(2090, 1, 1)), st.integers(0, 1000))
def test_days_chosen_by_hand_are_a_period(first, more):
    period = Period.chosen(first, first + timedelta(days=more))
    assert Period.read(period.code) == period
    assert period.previous.last == first - timedelta(days=1)
    assert period.previous.next == period
    assert (period.bounds[1] - period.bounds[0]).days in {more, more + 1}
    assert period.rolling_days[1] == period.last


@pytest.mark.parametrize(
    "code", ["2026-02-10-2026-01-05", "2020-01-01-2026-01-01", "2026-02-30-2026-03-01", "20260101  -2026-01-01"]
)
def test_days_that_are_reversed_too_many_or_none_are_no_period(code):
    assert Period.read(code) is None


def test_twelve_months_are_those_that_end_with_the_period():
    days = [one.isoformat() for one in Period.read("2026-q3").rolling_days]
    assert days == ["2025-10-01", "2026-09-30"]
    assert [one.isoformat() for one in Period.chosen(date(2028, 2, 29), date(2028, 2, 29)).rolling_days] == [
        "2027-03-01",
        "2028-02-29",
    ]


@pytest.mark.parametrize("code", ["0001-q1", "9999-q4"])
def test_a_quarter_that_is_read_can_be_computed_with_its_neighbours(code):
    period = Period.read(code)
    assert period is None or (period.cut_off and period.previous.bounds and period.next.bounds)


Q4 = Period.read("2026-q4")
CUT_OFF = Q4.cut_off_at  # the end of January 15 in Montréal
OF = [
    "received",
    "by_region",
    "by_language",
    "by_field",
    "by_stage",
    "by_form",
    "heard",
    "first_reply",
    "on_time",
    "reached",
    "exchanges",
    "active",
    "no_next_step",
    "steps_on_time",
    "sent",
    "sent_files",
    "sent_by_kind",
    "sent_by_body",
    "accepted",
    "body_reply",
    "assistance",
    "unmet",
    "unmet_by_need",
    "filed",
    "granted",
    "granted_files",
    "granted_by_instrument",
    "approval",
    "incorporated",
    "launched",
    "still_active",
    "not_reached",
    "to_launch",
    "closed",
    "closed_by_reason",
    "left_out",
    "activities",
    "participants",
    "groups",
    "group_participants",
    "bodies_present",
    "from_awareness",
]


def at(day: str, hour: int = 15) -> datetime:
    """An instant of a day in Montréal, at an hour UTC that is the same day there."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), tzinfo=UTC) + timedelta(hours=hour)


def day(said: str) -> date:
    return date.fromisoformat(said)


def found(**rows):
    return figures_of(Rows(**rows), Q4, CUT_OFF)


def test_figures_come_in_the_order_of_the_reference_and_of_nothing_there_is_nothing():
    nothing = found()
    assert list(nothing) == OF
    assert not any(one.value for one in nothing.values() if not isinstance(one, Rate))
    assert {one.percent for one in nothing.values() if isinstance(one, Rate)} == {None}, "never 0 %"
    assert nothing["first_reply"].value is None


# --- requests --------------------------------------------------------------------------------------------------------


def test_requests_are_of_the_day_on_which_they_were_received_in_montreal():
    rows = [
        f.Request(1, datetime(2026, 10, 1, 4, tzinfo=UTC)),  # midnight
        f.Request(2, datetime(2026, 10, 1, 3, 59, tzinfo=UTC)),  # the last of September
        f.Request(3, datetime(2027, 1, 1, 4, 59, tzinfo=UTC)),  # the last of December
        f.Request(4, datetime(2027, 1, 1, 5, tzinfo=UTC)),
    ]
    assert found(requests=rows)["received"] == Count((1, 3))


def test_breakdowns_are_of_twelve_months_and_say_how_many_did_not_answer():
    rows = [
        f.Request(1, at("2026-11-02"), region="06", language="fr", heard="web"),
        f.Request(2, at("2026-01-01"), region="06", language="en"),
        f.Request(3, at("2026-05-05"), region="13", language="fr", heard="web"),
        f.Request(4, at("2026-05-06"), language="fr", heard="school"),
        f.Request(5, at("2025-12-31"), region="06", language="fr", heard="web"),  # a day too early
    ]
    figures = found(requests=rows)
    assert dict(figures["by_region"].cells) == {"06": Count((1, 2)), "13": Count((3,))}
    assert figures["by_region"].without == Count((4,))
    assert dict(figures["by_language"].cells) == {"fr": Count((1, 3, 4)), "en": Count((2,))}
    assert (dict(figures["heard"].cells), figures["heard"].without) == (
        {"web": Count((1, 3)), "school": Count((4,))},
        Count((2,)),
    )


def replied(pairs):
    return [f.Request(number, *pair) for number, pair in enumerate(pairs, 1)]


def test_the_median_time_to_a_first_reply_worked_out_by_hand():
    pairs = [
        (at("2026-11-23"), at("2026-11-23")),  # Monday, the same day: 0
        (at("2026-11-20"), at("2026-11-23")),  # Friday to Monday: 1
        (at("2026-11-23"), at("2026-11-26")),  # Monday to Thursday: 3
        (at("2026-12-23"), at("2026-12-29")),  # 24, 28 and 29; Christmas and the weekend are closed: 3
        (at("2026-11-21"), at("2026-11-30")),  # Saturday to the Monday after next: 23 to 27 and 30: 6
        (at("2026-12-01"), None),  # nobody answered yet
    ]
    figures = found(requests=replied(pairs))
    assert figures["first_reply"].values == ((1, 0), (2, 1), (3, 3), (4, 3), (5, 6))
    assert (figures["first_reply"].value, figures["first_reply"].without) == (3, Count((6,)))
    assert figures["on_time"] == Rate(Count((1, 2, 3, 4)), Count((1, 2, 3, 4, 5, 6)))
    assert figures["on_time"].percent == 67


def test_between_two_middle_values_the_median_is_half_way():
    pairs = [(at("2026-11-23"), at("2026-11-24")), (at("2026-11-23"), at("2026-11-25"))]
    assert found(requests=replied(pairs))["first_reply"].value == 1.5


def test_a_reply_late_in_the_evening_counts_on_its_day_in_montreal():
    # 02:00 UTC on Tuesday is still Monday evening in Montréal.
    assert found(requests=replied([(at("2026-11-23"), at("2026-11-24", 2))]))["first_reply"].value == 0


def test_a_reply_after_the_cut_off_does_not_count_and_its_request_does():
    pairs = [(at("2026-12-31"), CUT_OFF - timedelta(seconds=1)), (at("2026-12-31"), CUT_OFF)]
    figures = found(requests=replied(pairs))
    assert (figures["received"].value, figures["first_reply"].files) == (2, (1,))


def test_who_was_reached_is_asked_of_the_quarter_before():
    rows = [
        f.Request(1, at("2026-09-01"), two_way_at=at("2026-09-30")),  # Labour Day is closed, and so is the 30th
        f.Request(2, at("2026-09-01"), two_way_at=at("2026-10-02")),
        f.Request(3, at("2026-08-03")),
        f.Request(4, at("2026-11-02"), two_way_at=at("2026-11-02")),  # of this quarter: its time has not come
    ]
    wait = [f.waited(one.received_at, one.two_way_at) for one in rows[:2]]
    assert found(requests=rows)["reached"].whole == Count((1, 2, 3))
    assert found(requests=rows)["reached"].part == Count(
        tuple(n for n, days in zip((1, 2), wait, strict=True) if days <= 20)
    )
    assert min(wait) <= 20 < max(wait), "one just within, one just beyond"


# --- following -------------------------------------------------------------------------------------------------------


def test_conversations_are_meetings_and_calls_of_ten_minutes():
    rows = [
        f.Talked(1, at("2026-10-05"), meeting=True),
        f.Talked(1, at("2026-10-06"), meeting=False, minutes=10),
        f.Talked(2, at("2026-10-07"), meeting=False, minutes=9),
        f.Talked(3, at("2026-10-08"), meeting=False),
        f.Talked(4, at("2026-09-30"), meeting=True),
    ]
    assert found(talked=rows)["exchanges"] == Count((1, 1))


def test_files_on_hold_are_shown_apart_and_nobody_follows_them():
    rows = [f.Stay(1, "new"), f.Stay(2, "planning", held=False), f.Stay(3, "paused", held=False), f.Stay(4, "new")]
    figures = found(stays=rows)
    assert {name: cell.files for name, cell in figures["active"].cells.items()} == {
        "new": (1, 4),
        "paused": (3,),
        "planning": (2,),
    }
    assert figures["no_next_step"] == Rate(Count((2,)), Count((1, 2, 4)))


def test_a_follow_up_is_on_time_by_the_day_for_which_it_was_first_planned():
    rows = [
        f.Step(1, day("2026-10-05"), day("2026-10-05")),
        f.Step(2, day("2026-10-05"), day("2026-10-06")),  # snoozed until then, or late
        f.Step(3, day("2026-10-05")),
        f.Step(4, day("2027-01-04"), day("2026-12-30")),  # of the next quarter
        f.Step(5, day("2026-12-31"), day("2026-10-01")),
    ]
    assert found(steps=rows)["steps_on_time"] == Rate(Count((1, 5)), Count((1, 2, 3, 5)))


# --- bodies ----------------------------------------------------------------------------------------------------------


def test_referrals_are_counted_with_their_files_and_the_kinds_of_bodies():
    rows = [
        f.Sent(1, at("2026-10-05"), "assistance", body=7),
        f.Sent(1, at("2026-10-06"), "financing", withdrawn=True, body=7),  # it was sent all the same
        f.Sent(2, at("2026-12-31"), "financing", body=8),
        f.Sent(3, at("2026-09-30"), "financing"),
    ]
    figures = found(sent=rows)
    assert (figures["sent"], figures["sent_files"]) == (Count((1, 1, 2)), Count((1, 2)))
    assert dict(figures["sent_by_kind"].cells) == {"financing": Count((1, 2)), "assistance": Count((1,))}
    by_body = {"assistance/7": Count((1,)), "financing/7": Count((1,)), "financing/8": Count((2,))}
    assert dict(figures["sent_by_body"].cells) == by_body


def test_the_acceptance_counts_what_was_accepted_within_sixty_days():
    sent = at("2026-08-03")
    rows = [
        f.Sent(1, sent, accepted_at=sent + timedelta(days=1)),
        f.Sent(2, sent, accepted_at=sent + timedelta(days=60)),  # the last moment
        f.Sent(3, sent, accepted_at=sent + timedelta(days=60, seconds=1)),  # too late
        f.Sent(4, sent),  # no answer
        f.Sent(5, sent, withdrawn=True),
        f.Sent(6, at("2026-10-05"), accepted_at=at("2026-10-06")),  # of this quarter
    ]
    assert found(sent=rows)["accepted"] == Rate(Count((1, 2)), Count((1, 2, 3, 4)))


def test_the_answers_of_bodies_are_those_of_the_quarter_two_back():
    rows = [
        f.Sent(1, at("2026-06-01"), accepted_at=at("2026-06-04")),  # 3
        f.Sent(2, at("2026-06-01"), declined_at=at("2026-06-08")),  # 5
        f.Sent(3, at("2026-06-01")),
        f.Sent(3, at("2026-06-02"), accepted_at=CUT_OFF),  # too late to count
        f.Sent(4, at("2026-07-01"), accepted_at=at("2026-07-02")),  # of the quarter before
    ]
    reply = found(sent=rows)["body_reply"]
    assert (reply.values, reply.value, reply.without) == (((1, 3), (2, 5)), 4, Count((3, 3)))


def test_a_file_enters_technical_assistance_once():
    rows = [f.Begun(1, at("2026-10-05")), f.Begun(1, at("2026-10-09")), f.Begun(2, at("2026-09-30"))]
    assert found(begun=rows)["assistance"] == Count((1,))


def test_needs_are_unmet_after_sixty_days():
    _start, end = Q4.bounds
    rows = [
        f.Needed(1, "legal", end - timedelta(days=60)),  # sixty days, not more
        f.Needed(1, "financing", end - timedelta(days=60, seconds=1)),
        f.Needed(2, "financing", end - timedelta(days=90)),
        f.Needed(3, "legal", end - timedelta(days=90), met=True),
    ]
    figures = found(needs=rows)
    assert figures["unmet"] == Rate(Count((1, 2)), Count((1, 2, 3)))
    assert dict(figures["unmet_by_need"].cells) == {"financing": Count((1, 2))}


# --- money and projects ----------------------------------------------------------------------------------------------


def test_money_is_counted_on_the_day_it_was_asked_for_and_on_the_day_it_was_granted():
    rows = [
        f.Money(1, "grant", day("2026-10-01"), 2_500_000),
        f.Money(1, "loan", day("2026-12-31"), None),  # the amount is not known: it counts, and adds nothing
        f.Money(2, "loan", day("2026-06-01"), 9_000_000, "granted", day("2026-11-02"), 4_004_999),
        f.Money(2, "grant", day("2026-06-01"), 9_000_000, "granted", day("2026-11-03"), 1_000_000),
        f.Money(3, "loan", day("2026-06-01"), 100, "refused", day("2026-11-04")),
        f.Money(4, "loan", day("2026-06-01"), 100, "", day("2026-11-04")),  # dropped
        f.Money(5, "loan", day("2026-06-01"), 100, "granted", day("2027-01-01"), 100),
    ]
    figures = found(money=rows)
    assert (figures["filed"].value, figures["filed"].cents) == (2, 2_500_000)
    assert (figures["granted"].value, figures["granted"].cents) == (2, 5_000_000), "to the nearest hundred dollars"
    assert figures["granted_files"] == Count((2,))
    assert dict(figures["granted_by_instrument"].cells) == {
        "grant": Amount(((2, 1_000_000),)),
        "loan": Amount(((2, 4_004_999),)),
    }
    assert (figures["approval"].part, figures["approval"].whole) == (Count((2, 2)), Count((2, 2, 3)))


def test_projects_count_on_the_days_they_were_incorporated_and_launched():
    rows = [
        f.Built(1, at("2026-01-05"), "coop_work", day("2026-10-01")),
        f.Built(2, at("2026-01-05"), "npo_3", day("2026-12-31"), day("2026-11-02")),
        f.Built(3, at("2025-01-05"), "", day("2026-11-11"), day("2026-01-01")),
        f.Built(4, at("2025-01-05"), "npo_3", day("2026-09-30"), day("2025-12-31")),
        f.Built(5, at("2026-12-05"), "npo_3", launched_on=day("2026-12-01")),  # it had launched before it asked
    ]
    figures = found(built=rows)
    assert (dict(figures["incorporated"].cells), figures["incorporated"].without) == (
        {"coop_work": Count((1,)), "npo_3": Count((2,))},
        Count((3,)),
    )
    assert figures["launched"] == Count((2, 5))
    assert figures["to_launch"].values == ((2, 301), (3, 361), (5, 0))


def test_a_launch_is_checked_twelve_months_later():
    rows = [
        f.Built(1, at("2025-01-05"), launched_on=day("2025-10-01"), check="active"),
        f.Built(2, at("2025-01-05"), launched_on=day("2025-12-31"), check="stopped"),
        f.Built(3, at("2025-01-05"), launched_on=day("2025-12-31"), check="unreached"),
        f.Built(4, at("2025-01-05"), launched_on=day("2025-12-31")),
        f.Built(5, at("2025-01-05"), launched_on=day("2025-09-30"), check="active"),
    ]
    figures = found(built=rows)
    assert figures["still_active"] == Rate(Count((1,)), Count((1, 2)))
    assert figures["not_reached"] == Count((3, 4))


def test_closings_are_told_by_reason_over_twelve_months_and_those_that_never_count_apart():
    rows = [
        f.Closed(1, at("2026-11-02"), "answered"),
        f.Closed(2, at("2026-02-02"), "answered"),
        f.Closed(3, at("2026-11-02"), "spam", counted=False),
        f.Closed(4, at("2025-12-31"), "answered"),
    ]
    figures = found(closed=rows)
    assert figures["closed"] == Count((1,))
    assert dict(figures["closed_by_reason"].cells) == {"answered": Count((1, 2))}
    assert dict(figures["left_out"].cells) == {"spam": Count((3,))}


def test_awareness_counts_activities_who_came_and_who_asked_later():
    held = [
        f.Held(day("2026-10-01"), 30, bodies=(1, 2)),
        f.Held(day("2026-12-31"), 12),
        f.Held(day("2027-01-01"), 99, bodies=(9,)),
        f.Held(day("2026-11-05"), 8, group=True, bodies=(2, 3)),
        f.Held(day("2026-09-30"), 7, group=True, bodies=(4,)),
    ]
    asked = [f.Request(n, at("2026-11-02"), heard=one) for n, one in enumerate(("school", "web", "event", "incubator"))]
    figures = found(activities=held, requests=asked)
    assert (figures["activities"], figures["participants"]) == (Number(2), Number(42))
    assert (figures["groups"], figures["group_participants"]) == (Number(1), Number(8))
    assert figures["bodies_present"] == Number(3)
    assert figures["from_awareness"] == Count((0, 2, 3))


# --- rounding, and a second computation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "whole", "percent"), [(1, 8, 13), (1, 3, 33), (2, 3, 67), (0, 5, 0), (5, 5, 100), (1, 200, 1), (1, 201, 0)]
)
def test_percentages_are_whole_and_half_goes_up(part, whole, percent):
    assert Rate(Count(tuple(range(part))), Count(tuple(range(whole)))).percent == percent


@pytest.mark.parametrize(("value", "half"), [(0, 0), (0.5, 0.5), (1, 1), (2.5, 2.5), (3.2, 3), (3.3, 3.5), (3.8, 4)])
def test_medians_are_rounded_to_half_days(value, half):
    assert to_half(value) == half


DAYS = st.dates(date(2025, 6, 1), date(2027, 3, 1))
FILES = st.integers(1, 9)


def instants(days):
    return st.builds(
        lambda one, minute: datetime.combine(one, datetime.min.time(), UTC) + timedelta(minutes=minute),
        days,
        st.integers(0, 1439),
    )


AT = instants(DAYS)
REQUESTS = st.builds(
    f.Request,
    FILES,
    AT,
    st.none() | AT,
    st.none() | AT,
    region=st.sampled_from(["", "06", "13"]),
    heard=st.sampled_from(["", "web", "school"]),
)
SENT = st.builds(
    f.Sent, FILES, AT, st.sampled_from(["assistance", "financing"]), st.none() | AT, st.none() | AT, st.booleans()
)
MONEY = st.builds(
    f.Money, FILES, st.sampled_from(["loan", "grant"]), st.none() | DAYS, st.none() | st.integers(0, 9_999_999),
    st.sampled_from(["", "granted", "refused"]), st.none() | DAYS, st.none() | st.integers(0, 9_999_999),
)  # fmt: skip
STEPS = st.builds(f.Step, FILES, DAYS, st.none() | DAYS)


def montreal(instant):
    from zoneinfo import ZoneInfo

    return instant.astimezone(ZoneInfo("America/Montreal")).date()


def quarter(one) -> tuple[int, int]:
    return one.year, (one.month - 1) // 3


@given(
    st.lists(REQUESTS, max_size=12),
    st.lists(SENT, max_size=12),
    st.lists(MONEY, max_size=12),
    st.lists(STEPS, max_size=12),
)
def test_a_second_computation_finds_the_same(requests, sent, money, steps):
    """Month by month and one thing at a time, without spans or cohorts as the first one has them."""
    figures = found(requests=requests, sent=sent, money=money, steps=steps)
    this, last, two_back = (2026, 3), (2026, 2), (2026, 1)
    assert figures["received"].value == sum(quarter(montreal(one.received_at)) == this for one in requests)
    in_2026 = [one for one in requests if montreal(one.received_at).year == 2026]
    assert {name: cell.value for name, cell in figures["by_region"].cells.items()} == Counter(
        one.region for one in in_2026 if one.region
    )
    assert figures["heard"].without.value == sum(not one.heard for one in in_2026)
    answered = [
        one
        for one in requests
        if quarter(montreal(one.received_at)) == this
        and one.first_reply_at
        and montreal(one.first_reply_at) <= date(2027, 1, 15)
    ]
    assert Counter(figures["first_reply"].files) == Counter(one.file for one in answered)
    assert figures["sent"].value == sum(quarter(montreal(one.sent_at)) == this for one in sent)
    assert figures["sent_files"].value == len({one.file for one in sent if quarter(montreal(one.sent_at)) == this})
    cohort = [one for one in sent if quarter(montreal(one.sent_at)) == last and not one.withdrawn]
    assert figures["accepted"].whole.value == len(cohort)
    assert figures["accepted"].part.value == sum(
        one.accepted_at is not None and (one.accepted_at - one.sent_at).total_seconds() <= 60 * 86400 for one in cohort
    )
    waits = figures["body_reply"]
    assert len(waits.values) + waits.without.value == sum(quarter(montreal(one.sent_at)) == two_back for one in sent)
    granted = [one for one in money if one.decision == "granted" and one.decided_on and quarter(one.decided_on) == this]
    assert (
        figures["granted"].value
        == len(granted)
        == sum(cell.value for cell in figures["granted_by_instrument"].cells.values())
    )
    assert abs(figures["granted"].cents - sum(one.granted or 0 for one in granted)) <= 5_000
    assert figures["granted"].cents % 10_000 == 0
    refused = [one for one in money if one.decision == "refused" and one.decided_on and quarter(one.decided_on) == this]
    assert figures["approval"].whole.value == len(granted) + len(refused)
    assert figures["filed"].value == sum(one.filed_on is not None and quarter(one.filed_on) == this for one in money)
    due = [one for one in steps if quarter(one.first_due_on) == this]
    assert figures["steps_on_time"].whole.value == len(due)
    assert figures["steps_on_time"].part.value == sum(
        bool(one.done_on) and one.done_on <= one.first_due_on for one in due
    )
