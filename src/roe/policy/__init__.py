"""Policies: YAML and tables to a typed model with a place for everything."""
