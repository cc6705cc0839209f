"""The trials of a sweep: how they are drawn, stored, marked and given up."""
