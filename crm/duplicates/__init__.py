"""Files that may be about the same project or person: found by likeness, judged by people, merged and undone."""
