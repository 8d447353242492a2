"""`roe serve`: the policy as a service that answers in milliseconds and loses nothing (docs/serve.md)."""
