"""Scores on history: records with an outcome, leakage, back-tests, and score cards that work in a policy."""
