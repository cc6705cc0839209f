"""Results as JSON files: typed, versioned, and readable from any version."""
