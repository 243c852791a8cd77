"""Pages that coordinators write: questions, privacy policy, accessibility; every text they may change; the programme's facts."""
