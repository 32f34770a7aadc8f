"""A transparency log on C2SP's formats: tiles, signed notes, checkpoints, proofs; RFC 6962 hashing. No Spark."""
