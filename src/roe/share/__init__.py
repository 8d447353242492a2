"""A run whose records are shared out: what may go to which task, what a task does, and what is put together of it (docs/adr/0015-portions.md)."""
