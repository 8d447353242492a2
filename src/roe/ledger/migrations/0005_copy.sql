-- The copy of the open holdings has another shape: the next run in columns makes it again.
DELETE FROM snapshot;
