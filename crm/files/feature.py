"""Plugs the sweeping of files that nobody sent, and of bytes that no row knows."""

from crm.feature import Feature
from crm.files.services import sweep
from crm.jobs import Job

feature = Feature(name="files", jobs=(Job("files", sweep, every=3600),))
