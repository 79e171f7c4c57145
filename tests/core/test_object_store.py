"""The environment's standard names reach each library, and keys go past us."""

import pytest

from core.object_store import delta_options, fsspec_options, spark_settings

NAMES = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_VIRTUAL_HOSTED_STYLE_REQUEST")


@pytest.fixture(autouse=True)
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the secret")


def test_a_local_project_sets_nothing() -> None:
    assert spark_settings() == {}
    assert delta_options("file") == {}
    assert fsspec_options("file") == {}


def test_a_store_of_ones_own_is_asked_by_path_at_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:7070")

    assert spark_settings() == {
        "spark.hadoop.fs.s3a.endpoint": "http://store:7070",
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": "false",
    }
    assert delta_options("s3a") == {
        "aws_region": "us-east-1",
        "aws_virtual_hosted_style_request": "false",
        "aws_allow_http": "true",
        "aws_conditional_put": "etag",
    }
    options = fsspec_options("s3a")
    assert options["endpoint_url"] == "http://store:7070"
    assert options["config_kwargs"]["s3"] == {"addressing_style": "path"}


def test_at_aws_the_bucket_is_in_the_name_of_the_host_and_http_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")

    assert spark_settings() == {
        "spark.hadoop.fs.s3a.endpoint.region": "eu-north-1",
        "spark.hadoop.fs.s3a.path.style.access": "false",
    }
    assert delta_options("s3a")["aws_virtual_hosted_style_request"] == "true"
    assert delta_options("s3a")["aws_allow_http"] == "false"
    assert fsspec_options("s3a")["client_kwargs"] == {"region_name": "eu-north-1"}


def test_a_store_that_wants_the_bucket_in_its_name_can_be_asked_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://store")
    monkeypatch.setenv("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")

    assert spark_settings()["spark.hadoop.fs.s3a.path.style.access"] == "false"
    assert fsspec_options("s3a")["config_kwargs"]["s3"] == {"addressing_style": "virtual"}


def test_no_key_is_among_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store:7070")

    said = repr((spark_settings(), delta_options("s3a"), fsspec_options("s3a")))

    assert "the key" not in said
    assert "the secret" not in said
