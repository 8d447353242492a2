"""One module for each page: a function from a question to a filled-in template, and plain functions that gather what it shows."""
