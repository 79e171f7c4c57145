"""A configured path is a place on this machine, in an object store or in HDFS, or refused by its scheme."""

from pathlib import Path

import pytest

from core.errors import ConfigError
from core.load import load_config
from core.paths import (
    EXPECTED,
    exists,
    join,
    local_path,
    read_bytes,
    replacing,
    resolve_uri,
    write_atomically,
)

PROJECT = Path("/srv/project")


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("warehouse", "file:///srv/project/warehouse"),
        ("/data/w", "file:///data/w"),
        ("file:///data/w", "file:///data/w"),
        ("file:/data/w", "file:///data/w"),  # as Hadoop writes it
        ("file://localhost/data/w", "file:///data/w"),
        ("file:///data/my%20tables", "file:///data/my%20tables"),
        ("my tables", "file:///srv/project/my%20tables"),
        ("50%", "file:///srv/project/50%25"),
        ("c:d", "file:///srv/project/c%3Ad"),  # one letter is no scheme
        ("./s3:b", "file:///srv/project/s3%3Ab"),
        ("FILE:///data/w", "file:///data/w"),
        ("s3a://bucket/data/w/", "s3a://bucket/data/w"),
        ("s3a://bucket", "s3a://bucket"),
        ("hdfs://name-node:8020/w", "hdfs://name-node:8020/w"),
    ],
)
def test_a_path_becomes_a_uri(path: str, uri: str) -> None:
    assert resolve_uri(path, PROJECT, "paths.warehouse") == uri


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("s3://b/w", f"s3://b/w: scheme s3 is not supported; {EXPECTED}; for S3 write s3a://"),
        ("s3:/b/w", f"s3:/b/w: scheme s3 is not supported; {EXPECTED}; for S3 write s3a://"),
        ("s3:b/w", "s3:b/w: scheme s3 is not supported"),
        ("abfss://c@a/w", "abfss://c@a/w: scheme abfss is not supported"),
        ("S3A://b/w", "S3A://b/w: scheme S3A is not supported"),
        ("simplecache::s3://b/w", "scheme simplecache is not supported"),
        ("s3a:/b/w", "s3a:/b/w: expected s3a://bucket/folder, with names of letters, digits"),
        ("s3a://b//w", "s3a://b//w: expected s3a://bucket/folder"),
        ("s3a://b/../w", "s3a://b/../w: expected s3a://bucket/folder"),
        ("s3a://b/my tables", "s3a://b/my tables: expected s3a://bucket/folder"),
        ("s3a://key:secret@b/w", "a URI with @ may hold a password; keys come from the environment"),
        ("hdfs:///w", "hdfs:///w: expected hdfs://host:port/folder"),
        ("file://other/w", "file://other/w: host other is not this machine; expected file:///absolute/path"),
        ("my_store://b/w", "my_store://b/w: scheme my_store is not supported"),
        (" s3://b/w", "' s3://b/w' begins or ends with a space"),
        ("~/w", f"~/w: ~ is not replaced by a home folder; {EXPECTED}"),
        ("file:w", "file:w: no absolute path; expected file:///absolute/path"),
        ("file://", "file://: no absolute path"),
        ("file:///data/a#b", "file:///data/a#b: ? and # end the path of a URI; write %3F and %23"),
        ("", f"the path is empty; {EXPECTED}"),
        (" ", "the path is empty"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(path: str, reason: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolve_uri(path, PROJECT, "paths.warehouse")

    assert str(error.value).startswith("paths.warehouse: ")
    assert reason in str(error.value)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("path", ["w[1]", "a|b", "a^b", "a\\b", "a\tb", "file:///data/a%255Bb"])
def test_a_folder_that_delta_rs_does_not_find_again_is_refused(path: str) -> None:
    with pytest.raises(
        ConfigError, match=r"paths.warehouse: .*no table can be in a folder with '.*' in its path"
    ):
        resolve_uri(path, PROJECT, "paths.warehouse")


@pytest.mark.parametrize("key", ["paths.warehouse", "paths.reports", "source.root"])
def test_the_configuration_is_refused_before_anything_runs(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: s3://b/w: scheme s3 is not supported") as error:
        load_config(overrides=(f"{key}=s3://b/w",))

    assert error.value.exit_code == 2


@pytest.mark.parametrize("path", ["s3://b/users", "file:///data/users", "~/users", ""])
@pytest.mark.parametrize("key", ["source.events.path", "source.users.path", "source.items.path"])
def test_a_path_of_source_files_is_no_uri(key: str, path: str) -> None:
    with pytest.raises(ConfigError, match=f"{key}: .*expected a path under source.root, or an absolute one"):
        load_config(overrides=(f"{key}={path}" if path else f"{key}=''",))


def test_a_uri_and_its_local_path_are_the_same_place(tmp_path: Path) -> None:
    folder = tmp_path / "50 % of ü"
    uri = resolve_uri(str(folder), PROJECT, "paths.warehouse")

    assert local_path(uri) == folder
    assert local_path(join(uri, "a b", "c#d.json")) == folder / "a b" / "c#d.json"
    assert resolve_uri(uri, PROJECT, "paths.warehouse") == uri


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    uri = join(tmp_path.as_uri(), "new folder", "page.html")
    assert not exists(uri)

    write_atomically(uri, "one")
    write_atomically(uri, b"two")

    assert read_bytes(uri) == b"two"
    assert [file.name for file in (tmp_path / "new folder").iterdir()] == ["page.html"]


def test_an_error_while_writing_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    uri = join(tmp_path.as_uri(), "page.html")
    write_atomically(uri, "old")

    def write_half() -> None:
        with replacing(uri) as file:
            file.write(b"ne")
            raise RuntimeError("half-way")

    with pytest.raises(RuntimeError, match="half-way"):
        write_half()
    assert read_bytes(uri) == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
