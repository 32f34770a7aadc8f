"""Read the log of a Delta table without Spark: commits, checkpoints, version checksums, and the files that a version names."""
