"""Files of projects: who asked, for what project, where it stands, what happened."""
