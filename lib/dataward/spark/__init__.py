"""Modules that depend on the kind of Spark: sessions, jars, Java, workers."""
