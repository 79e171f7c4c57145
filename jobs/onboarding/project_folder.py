"""The folder of a new project: configuration with the guesses, and a README with the next commands."""

import re
import shlex
from datetime import timedelta
from pathlib import Path

from core.errors import ConfigError
from core.load import CONF_DIR
from jobs.onboarding.dataset_guess import DatasetGuess
from jobs.onboarding.dataset_yaml import to_yaml
from jobs.onboarding.names import our_name

IGNORED = "warehouse/\nlogs/\n"


def write_project(folder: Path, guess: DatasetGuess) -> list[Path]:
    """Write a project's folder; return its files.

    Raises:
        ConfigError: the folder holds something already, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty; name a folder that does not exist yet, or an empty one")
    contents = {
        "conf/base.yaml": (CONF_DIR / "base.yaml").read_text(encoding="utf-8"),
        "conf/local.yaml": (CONF_DIR / "local.yaml").read_text(encoding="utf-8"),
        f"conf/datasets/{guess.name}.yaml": to_yaml(guess),
        ".gitignore": IGNORED,
        "README.md": readme(guess),
    }
    for name, text in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return [folder / name for name in contents]


def dataset_name(folder: Path) -> str:
    """Return the name of the data set: that of the folder, as a configuration takes it."""
    return our_name(re.sub(r"[^\x00-\x7f]", "", folder.name), ())


def readme(guess: DatasetGuess) -> str:
    """Return the text of the project's README: what to run next."""
    days = guess.dates
    last, before = days[-1], max(days[0], days[-1] - timedelta(days=1))
    span = str(days[0]) if days[0] == before else f"{days[0]}..{before}"
    user = shlex.quote(guess.events.user.samples[0]) if guess.events.user else "ID"
    return f"""# {guess.name}

A project of Lamplighter, made by `lamplighter init`. Run its commands in this folder, or add `--project DIR`.

1. Read `conf/datasets/{guess.name}.yaml`: each guess has its reason beside it, `???` is to be filled in. Then

   ```
   lamplighter validate
   ```

   evaluates every expression over the newest file and shows what it makes of it.

2. Build features, cohorts and examples of all days but the last:

   ```
   lamplighter plan --data-date {span}
   lamplighter history --data-date {span}
   ```

3. Run the first night: it trains a model, scores all users and writes a report.

   ```
   lamplighter night --data-date {last}
   lamplighter lists --user {user}
   ```

Tables, models and reports are in `warehouse/`, the log file is in `logs/`. `lamplighter test` runs tests of
`conf/tests/`.
"""
