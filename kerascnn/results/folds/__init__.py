"""Studies of folds: their results, predictions and page."""
