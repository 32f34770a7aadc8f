"""Find duplicate rows that are not equal: blocking, pairwise similarity, clustering."""
