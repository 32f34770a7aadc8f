"""Rules that a table's own profile suggests, and corruptions by which any rules are tried."""
