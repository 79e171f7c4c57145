"""Settings of object stores: the environment's standard names, as each library calls them.

AWS_ENDPOINT_URL             of a store that is not AWS, such as http://127.0.0.1:7070
AWS_REGION                   or AWS_DEFAULT_REGION; default: us-east-1
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
AWS_VIRTUAL_HOSTED_STYLE_REQUEST   true: the bucket is a part of the host's name. Default: at AWS alone

Keys are read by the libraries themselves (Spark hands them to its executors), as are roles of a machine: no
secret passes through our code, so none can reach a configuration, the ledger, a log or a report.
"""

import os
from typing import Any

_RETRIES = {"max_attempts": 10, "mode": "standard"}  # about a minute, as long as Hadoop's and delta-rs' own


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL") or None


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _is_virtual_hosted() -> bool:
    asked = os.environ.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST")
    return asked.lower() == "true" if asked else _endpoint() is None


def fsspec_options(scheme: str) -> dict[str, Any]:
    """Return the options of fsspec's file system of a scheme. Listings are never kept: others write, too."""
    if scheme != "s3a":
        return {}
    style = "virtual" if _is_virtual_hosted() else "path"
    return {
        "endpoint_url": _endpoint(),
        "client_kwargs": {"region_name": _region()},
        "config_kwargs": {"s3": {"addressing_style": style}, "retries": _RETRIES},
        "use_listings_cache": False,
    }


def delta_options(scheme: str) -> dict[str, str]:
    """Return the `storage_options` of delta-rs: it reads the rest of the environment by itself."""
    if scheme != "s3a":
        return {}
    return {
        "aws_region": _region(),
        "aws_virtual_hosted_style_request": str(_is_virtual_hosted()).lower(),
        "aws_allow_http": str((_endpoint() or "").startswith("http://")).lower(),
        "aws_conditional_put": "etag",  # a commit that another writer has made is never overwritten
    }


def spark_settings() -> dict[str, str]:
    """Return the settings of a Spark session; none where the environment names no store and no region."""
    named = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION")
    if not any(os.environ.get(name) for name in named):
        return {}
    settings = {
        "spark.hadoop.fs.s3a.endpoint.region": _region(),
        "spark.hadoop.fs.s3a.path.style.access": str(not _is_virtual_hosted()).lower(),
    }
    if endpoint := _endpoint():
        settings["spark.hadoop.fs.s3a.endpoint"] = endpoint
        settings["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(endpoint.startswith("https://")).lower()
    return settings
