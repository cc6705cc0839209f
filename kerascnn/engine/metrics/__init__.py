"""Metrics: scores, calibration, significance."""
