"""The language server: diagnostics, completion, hover, definitions, rename, formatting, and what each rule decides."""
