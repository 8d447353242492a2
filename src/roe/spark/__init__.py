"""A run on Apache Spark: the batch evaluator in every task (docs/scale.md)."""
