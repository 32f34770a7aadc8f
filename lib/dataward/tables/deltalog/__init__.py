"""Read the log of a Delta table without Spark: commits, checkpoints, version checksums, and the files of a version."""
