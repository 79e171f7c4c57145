"""A real Airflow for tests: PostgreSQL, API server, DAG processor, scheduler with LocalExecutor; its API."""

import json
import os
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.postgres import postgres
from tools.cluster.process import Service, free_port

ROOT = Path(__file__).parents[2]
AIRFLOW = ROOT / ".venv-airflow" / "bin"


@dataclass(frozen=True)
class RestApi:
    """Airflow's public API, version 2."""

    address: str
    token: str

    def get(self, path: str) -> dict[str, Any]:
        return _asked(f"{self.address}/api/v2{path}", "GET", None, self.token)

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _asked(f"{self.address}/api/v2{path}", "POST", body, self.token)

    def patch(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _asked(f"{self.address}/api/v2{path}", "PATCH", body, self.token)


@dataclass(frozen=True)
class Airflow:
    """Running servers."""

    api: RestApi
    scheduler: Service


@contextmanager
def airflow_servers(home: Path, dags: Path, environment: Mapping[str, str]) -> Iterator[Airflow]:
    """Run Airflow while the block runs.

    Args:
        home: takes configuration, database and logs.
        dags: the folder of DAG files.
        environment: variables of the tasks.

    Raises:
        ServiceError: a server does not start.
    """
    home.mkdir(parents=True, exist_ok=True)
    password, port = secrets.token_hex(16), free_port()
    passwords = home / "passwords.json"
    passwords.write_text(json.dumps({"admin": password}))
    address = f"http://127.0.0.1:{port}"
    with ExitStack() as running:
        database = running.enter_context(postgres(home / "postgres", "airflow"))
        settings = dict(environment) | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "3",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{address}/execution/",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.uri.replace(
                "postgresql://", "postgresql+psycopg2://"
            ),
            "AIRFLOW__API__BASE_URL": address,
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }
        program = str(AIRFLOW / "airflow")
        migrated = subprocess.run(
            [program, "db", "migrate"],
            check=False,
            env=os.environ | settings,
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert migrated.returncode == 0, migrated.stdout[-3000:]

        def serve(*arguments: str, is_ready: Any = lambda: True) -> Service:
            log = home / f"{arguments[0]}.log"
            service = Service(arguments[0], [program, *arguments], log, is_ready, settings)
            running.callback(service.stop)
            return service

        serve(
            *("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            is_ready=lambda: _is_up(f"{address}/api/v2/version"),
        )
        serve("dag-processor")
        scheduler = serve("scheduler")
        token = _asked(f"{address}/auth/token", "POST", {"username": "admin", "password": password})
        yield Airflow(RestApi(address, token["access_token"]), scheduler)


def _is_up(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def _asked(address: str, method: str, body: Mapping[str, Any] | None, token: str = "") -> dict[str, Any]:
    request = urllib.request.Request(
        address,
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", "Accept": "application/json"}
        | ({"Authorization": f"Bearer {token}"} if token else {}),
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {address}: {error.code} {error.read().decode()[:2000]}") from error
