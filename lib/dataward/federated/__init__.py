"""Training across sites without moving raw rows: secure sums, differential privacy, models, and the transport between processes."""
