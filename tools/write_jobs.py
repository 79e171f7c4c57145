"""Write dags/jobs.json: names, edges and flags of the jobs, for programs that have no Spark, such as Airflow.

make docs        (= .venv/bin/python -m tools.write_jobs)
"""

import json

from core.load import PROJECT_DIR
from jobs.runtime.pipeline import description

FILE = PROJECT_DIR / "dags" / "jobs.json"

if __name__ == "__main__":
    FILE.write_text(json.dumps(description(), indent=1) + "\n", encoding="utf-8")
    print(f"{FILE.relative_to(PROJECT_DIR)}: {len(description())} jobs")
