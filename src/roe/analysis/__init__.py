"""Questions about a policy and its decisions: why not, and what would change it."""
