"""Many trials of one experiment: which settings suit its images."""
