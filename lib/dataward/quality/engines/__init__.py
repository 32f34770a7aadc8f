"""What evaluates a suite: ``deequ`` (PyDeequ) or ``spark`` (DataFrames only, also on Spark Connect)."""
