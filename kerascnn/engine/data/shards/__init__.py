"""Files that hold many images each: tar, zip, Parquet. None is unpacked."""
