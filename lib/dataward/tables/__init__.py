"""Tables: pinned reads, idempotent commits, history. Only Delta tables are written."""
