"""One verb per file: each job reads tables, calls pure functions, validates, writes, records."""
