"""Advisers who offer times, and talks at them."""

from datetime import timedelta

from crm import clock
from crm.business_days import next_business_day
from crm.talks import hours, services
from crm.talks.models import Mode


def open_hours(session, *advisers, **changes):
    """Advisers who offer every weekday morning."""
    for adviser in advisers:
        rules = hours.rules_of(adviser)
        rules.offered, rules.languages, rules.modes = True, ["fr", "en"], ["phone", "video"]
        rules.video_address, rules.version = "https://visio.example/salle", 1
        for name, value in changes.items():
            setattr(rules, name, value)
        session.add(rules)
        hours.save_weekly(adviser, {day: [(9 * 60, 12 * 60)] for day in range(7)})
    session.commit()


def at_ten(days=3):
    return clock.at_local(next_business_day(clock.today() + timedelta(days=days)), 10)


def book(case, adviser, starts_at=None, actor=None, **extra):
    wanted = {"minutes": 30, "mode": Mode.PHONE, "buffer": 15} | extra
    return services.book(case, adviser=adviser, starts_at=starts_at or at_ten(), actor=actor, **wanted)
