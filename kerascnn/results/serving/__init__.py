"""The model of a run over HTTP: MLflow's scoring protocol, and a page for browsers."""
