"""The errors that end a job, each with the exit code that a scheduler sees.

A message says what is wrong, where (file, table, column, data date), what was expected and what to
do, in one line. Codes 2 and 3 are never retried: the same input ends in the same way.
"""


class LamplighterError(Exception):
    """A job cannot continue; its tables are as they were. Exit code 1."""

    exit_code = 1


class ConfigError(LamplighterError):
    """Wrong usage or wrong configuration. Exit code 2, never retried."""

    exit_code = 2


class BlockedError(LamplighterError):
    """Data met a suite or an audit and did not pass. Exit code 3, never retried."""

    exit_code = 3
