"""The `lamplighter` command."""
