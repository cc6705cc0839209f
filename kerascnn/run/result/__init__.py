"""What comes of a run: its evaluation, result, record, and what it keeps of its images."""
