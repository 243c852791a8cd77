"""The person's own page: where the file stands, the talk, what was shared, and every way to change one's mind."""
