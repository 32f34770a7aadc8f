"""Discovery: classes of columns with their confidence, and sensitive values inside of texts."""
