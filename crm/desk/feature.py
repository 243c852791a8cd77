"""Plugs the start page and the morning's digest into the product."""

from crm.desk import digest, handoff, month, my_mail
from crm.desk.views import bp
from crm.feature import Feature
from crm.jobs import Job
from crm.outbox.kinds import MessageKind

feature = Feature(
    name="desk",
    blueprints=(bp, handoff.bp, my_mail.bp, month.bp),
    jobs=(Job("digest", digest.queue_digests, every=60),),
    messages=(MessageKind("desk.digest", "desk.mail.digest", written_anew=digest.written_now),),
)
