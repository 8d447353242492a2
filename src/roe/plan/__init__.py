"""The plan: a policy lowered to five operators, which are all that a back end knows."""
