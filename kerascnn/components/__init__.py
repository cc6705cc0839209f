"""Components: their kinds, how plugins register them, and their parameters."""
