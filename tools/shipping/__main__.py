"""Write dist/lamplighter-VERSION-py3-none-any.whl and dist/lamplighter-VERSION.zip.

make dist        (= .venv/bin/python -m tools.shipping)
"""

import sys
from pathlib import Path

from core.load import PROJECT_DIR
from tools.shipping.packages import write_packages

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROJECT_DIR / "dist"
    for file in write_packages(folder):
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
