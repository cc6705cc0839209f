"""A run in several processes, started by a launcher or an engine, and watched."""
