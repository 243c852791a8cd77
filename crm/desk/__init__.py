"""Where staff begin their day."""
