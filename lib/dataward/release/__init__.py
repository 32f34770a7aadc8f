"""Differentially private releases and the budgets that pay for them."""
