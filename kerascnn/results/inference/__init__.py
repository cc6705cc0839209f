"""results/inference."""
