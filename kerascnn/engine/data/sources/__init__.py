"""Where images come from: files, folders, downloads; read in parallel."""
