"""Records in and out: files, coercion to declared types, rejects."""
