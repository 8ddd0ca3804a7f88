"""What users hand over by mistake, as tables, and what must come back: one line that says what was wrong."""
