"""Domain stages: one file each, which says how a section of the policy lowers to operators.

A stage is two functions: `declare` tells the model which fields the stage adds and of what type, `lower` builds the
operators. All stages declare before any lowers, so that sections may refer to each other in any order.
"""
