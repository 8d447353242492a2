"""The expression language: grammar, syntax tree, parser, printer, values, functions, types. See docs/language.md."""
