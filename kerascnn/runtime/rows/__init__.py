"""Rows of the cache: found by content, appended, and each computed by one process."""
