"""Differentially private releases and their budgets."""
