"""Studies: many runs or networks that answer one question."""
