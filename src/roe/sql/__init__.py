"""The stateless part of a policy as one SQL statement for a warehouse (docs/sql.md)."""
