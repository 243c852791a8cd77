"""Signed links for people without an account: one object, one purpose, until a date, revocable at once."""
