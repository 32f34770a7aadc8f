"""Options of the tests' JVMs."""

QUICK = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m"
"""For JVMs that run many small plans once each, or end soon: the thorough compiler costs more than it saves.

It took a third of the JVM's time in `make test`, and concurrent marking a tenth. Without it the code cache is 48 MB by default,
which a long run fills.
"""
