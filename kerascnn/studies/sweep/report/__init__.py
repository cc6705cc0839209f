"""A sweep shown: its findings in sentences, its figures, its page, and its note on MLflow."""
