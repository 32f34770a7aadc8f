"""Where tables are touched: pinned reads, idempotent commits, history. Only Delta is written."""
