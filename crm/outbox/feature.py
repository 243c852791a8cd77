"""Plugs the sending job into the worker. The page of what did not leave is with the files, where scope is known."""

from crm.feature import Feature
from crm.jobs import Job
from crm.outbox.deliver import send_due

feature = Feature(name="outbox", jobs=(Job("send", send_due, every=15),))
