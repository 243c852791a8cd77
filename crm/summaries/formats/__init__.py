"""The files of a summary: each says what its page says, from the same report."""
