"""MLflow: tracking runs, their models and the registry; no other package imports it."""
