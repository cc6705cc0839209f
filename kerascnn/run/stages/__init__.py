"""The stages of a run: trained in one or more processes, checkpointed, stored and taken again."""
