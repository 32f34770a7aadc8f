"""Repair data before the rules are evaluated: spelling, duplicates, outliers, missing values."""
