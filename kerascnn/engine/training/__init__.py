"""Stages: optimizers, checks, the fit of one stage."""
