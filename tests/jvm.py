"""Options of the tests' JVMs."""

LONG = "-XX:+UseSerialGC"
"""For the JVM of `tests/spark`: concurrent marking took a tenth of its time. The thorough compiler pays off there."""

QUICK = f"{LONG} -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"
"""For JVMs that end soon: the thorough compiler costs them more than it saves."""
