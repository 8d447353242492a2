"""Company names: what a name says, how alike two names are, and which of many names one means.

    raw text --name.parse--> CompanyName --likeness.compare--> a probability
                                          index.NameIndex --> the names that are most likely the same company

Three tables come with the package: legal forms, the words that many company names have, and places. `tools/company_tables.py`
makes the first two from their sources.
"""
