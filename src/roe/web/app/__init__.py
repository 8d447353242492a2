"""The pages that everybody in sales opens: `roe ui` shows them on a laptop, `roe serve` for a team.

Every page is HTML that the server writes from templates which escape all texts. A page works without script; with it, parts of a page
are fetched as the same HTML (htmx). What a viewer may not see is left out before a template is filled in.
"""
