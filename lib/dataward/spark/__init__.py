"""Everything that depends on the kind of Spark that runs: sessions, jars, Java, workers."""
