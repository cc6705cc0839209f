"""Distillation: one network taught by a run, mostly by an ensemble."""
