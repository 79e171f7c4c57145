"""Pages, tables and links in Markdown."""

from collections.abc import Iterable, Sequence

NOTE = "<!-- written by tools/write_reference.py: `make docs` -->"


def page(title: str, *blocks: str) -> str:
    """Return a page from its blocks."""
    return "\n\n".join([f"# {title}", NOTE, *(block for block in blocks if block)]) + "\n"


def sheet(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; empty without rows."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(header)} |", f"|{'---|' * len(header)}", *lines]) if lines else ""


def code(names: Iterable[str]) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def job_link(name: str) -> str:
    """Return a link to a job's section."""
    return f"[{name}](jobs.md#{name})"


def table_link(name: str) -> str:
    """Return a link to a table's section."""
    return f"[{name}](tables.md#{name})"
