"""Archives, pages, answers, documents and backends that hardtack may meet, each with its verdict: the project's own corpus.

Everything is made in memory, the same bytes every time; ``python -m tests.corpus --list`` shows the table.
"""
