"""Awareness activities: asked for by incubators, schools and networks, planned, held and counted. They are no files."""
