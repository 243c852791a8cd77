"""What happened, append-only: every state change writes one event."""
