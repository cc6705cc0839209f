"""What a sweep tries: read, bound to its experiment, and checked before the first trial."""
