"""The command `lamplighter`, as a program: `python -m lamplighter`, or a file for spark-submit."""

from lamplighter.place import put_first


def main() -> None:
    """Entry point of `lamplighter`."""
    put_first()
    from jobs.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
