"""What columns hold: one sketch a column, that adds up over batches and partitions; and how two profiles differ."""
