"""The flags that benches have in common."""

import argparse

import torch


def is_table_only(doc: str) -> bool:
    """Read --table and --threads (for torch); return whether nothing is to be trained.

    Args:
        doc: the program's own text, shown by --help.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return bool(arguments.table)
