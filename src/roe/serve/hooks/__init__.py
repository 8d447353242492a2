"""Webhooks that come in: who sent them is checked, then they become records of the mirror. One file for each sender."""
