"""Apache Spark as the carrier of a run whose records are shared out (docs/scale.md)."""
