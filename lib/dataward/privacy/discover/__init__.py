"""Discovery: what columns hold, how sure that is, and what stands inside of texts."""
