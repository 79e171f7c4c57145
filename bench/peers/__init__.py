"""Peer libraries, torch-rechub and DeepCTR-Torch, in an environment of their own: .venv-peers.

python3.11 -m venv .venv-peers && .venv-peers/bin/pip install -r bench/peers/requirements.txt

What runs there imports no other code of ours, whose pinned versions conflict with the peers'.
"""

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PEERS = ("torch-rechub", "deepctr-torch")


def command(module: str, *arguments: object) -> list[str]:
    """Return the command line of a module of bench.peers, to be run in the project's folder.

    Raises:
        SystemExit: the peers' environment has not been made.
    """
    python = PROJECT / ".venv-peers" / "bin" / "python"
    if not python.exists():
        raise SystemExit(
            "bench.peers: .venv-peers is missing; make it first: python3.11 -m venv .venv-peers && "
            ".venv-peers/bin/pip install -r bench/peers/requirements.txt"
        )
    return [str(python), "-m", f"bench.peers.{module}", *map(str, arguments)]
