"""One line for faults of an object store or of HDFS, and of writers that met; see `jobs/tables/faults.py`.

Hadoop, delta-rs and s3fs each have words of their own for a refused key or a store that does not answer.
"""

import re

_REMOTE = re.compile(r"(?:s3a|hdfs)://|S3A|Generic S3 error|botocore|HdfsObjectStore")
_NO_JARS = re.compile(
    r"Class org\.apache\.hadoop\.fs\.s3a\.S3AFileSystem not found|"
    r"NoClassDefFoundError: software/amazon/awssdk"
)
_NO_CREDENTIALS = re.compile(
    r"NoCredentialsError|Unable to locate credentials|NoAuthWithAWSException|No AWS Credentials|IMDS|"
    r"loading credentials|CredentialInitializationException"
)
_REFUSED = re.compile(
    r"AccessDenied|Access Denied|PermissionDenied|PermissionError|InvalidAccessKeyId|SignatureDoesNotMatch|"
    r"Forbidden|Status Code: 403|403 Forbidden"
)
_NO_BUCKET = re.compile(r"NoSuchBucket|[Bb]ucket does not exist|UnknownStoreException")
_SILENT = re.compile(
    r"Connection refused|EndpointConnectionError|ConnectTimeoutError|ReadTimeoutError|Could not connect|"
    r"ConnectException|UnknownHostException|(?:[Cc]onnect|Read|request) timed out|error sending request|"
    r"dns error|Service ?Unavailable|SlowDown|reduce your request rate|Status Code: 50[034]|"
    r"Unable to execute HTTP request|Connection reset|ClientConnectorError"
)
_RACE = re.compile(
    r"Concurrent(?:Append|DeleteRead|DeleteDelete|Write|Transaction|Modification)\w*Exception|"
    r"MetadataChangedException|ProtocolChangedException|DELTA_CONCURRENT|CommitFailedError|"
    r"Transaction failed|version already exists"
)


def of_object_store(text: str, place: str, where: str | None) -> str | None:
    """Return what an error says of the store that holds a table; None: nothing.

    Args:
        text: of the error and its causes.
        place: what is at work, such as the table's name.
        where: the table's folder, if it is not on this machine.
    """
    if _NO_JARS.search(text):
        return (
            f"{place}: Spark lacks the classes that read s3a:// (hadoop-aws); run `tools/setup.sh s3`, which "
            "fetches them once (560 MB), then run again"
        )
    if where is None and not _REMOTE.search(text):
        return None
    at = f" at {where}" if where else ""
    store = "AWS_ENDPOINT_URL and AWS_REGION"
    if _NO_CREDENTIALS.search(text):
        return (
            f"{place}: no key for the object store{at}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "for Spark's executors, too, then run again"
        )
    if _REFUSED.search(text):
        return (
            f"{place}: the object store refuses this key{at}; nothing was committed. Correct "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or let the key read, write and delete there, then "
            "run again"
        )
    if _NO_BUCKET.search(text):
        return f"{place}: there is no such bucket{at}; make it, or correct {store}, then run again"
    if _SILENT.search(text):
        return (
            f"{place}: the store does not answer, or is too busy{at}; nothing was committed. Check {store}, "
            "then run again"
        )
    return None


def of_a_race(text: str, place: str) -> str | None:
    """Return what an error says of another writer that was faster; None: nothing."""
    if not _RACE.search(text):
        return None
    return (
        f"{place}: another writer has committed meanwhile; our rows were not committed, theirs are. Expected "
        "one writer per table: end the other, then run again"
    )
