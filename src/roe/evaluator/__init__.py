"""Evaluation: expressions to closures, records to decisions, tables to runs."""
