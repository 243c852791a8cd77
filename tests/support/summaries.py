"""A summary that two people published, by the verbs of the product."""

from crm.accounts.models import Staff
from crm.summaries import services
from crm.summaries.models import Summary
from crm.summaries.periods import Period


def published(period: Period, first: Staff, second: Staff, texts: dict | None = None) -> Summary:
    """Taken, written, proposed by one, approved by the other, and published; nothing is committed."""
    summary = services.make(period)
    if texts:
        services.write(summary, texts, summary.version, first)
    services.propose(summary, summary.version, first, names_may_stay=False)
    services.approve(summary, summary.version, second)
    services.publish(summary)
    services.tell(summary)
    return summary
