"""Answers that come by mail: read from a mailbox, put on their file, or shown to the team."""
