"""Locations: what is accepted, and that nothing leads out of a location."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from despina.core.errors import InvalidLocation
from despina.core.location import Location

AWS_TEXT = "Invalid S3 URL or incorrect S3 permissions. Please check your S3 configuration."


@pytest.mark.parametrize(("url", "shown"), [
    ("s3://bucket/key/", "s3://bucket/key"), ("s3://bucket", "s3://bucket"), ("s3://my.bucket-1/a b/c", "s3://my.bucket-1/a b/c"),
    ("file:///data/exports/", "file:///data/exports"),
])
def test_a_url_is_shown_without_its_last_slash(url: str, shown: str) -> None:
    assert str(Location.parse(url)) == shown


@pytest.mark.parametrize("url", [
    "", "bucket/key", "S3://bucket", "s3:/bucket", "s3://b", "s3://Bucket/x", "s3://bucket_1/x", "s3://a..b/x", "s3:///key",
    "s3://bucket/../x", "s3://bucket/a/./b", "s3://bucket//x", "s3://bucket/a\nb", "s3://bucket/\x00", "file://host/x", "file:///",
    "file:///a/../b", "gs://bucket/key", "s3://bucket/" + "x" * 1020,
])
def test_anything_else_is_refused_with_the_text_of_aws(url: str) -> None:
    with pytest.raises(InvalidLocation) as caught:
        Location.parse(url)
    assert str(caught.value).startswith(AWS_TEXT + " (")


@given(st.text(max_size=60))
def test_whatever_is_accepted_reads_back_as_itself(key: str) -> None:
    try:
        location = Location.parse(f"s3://bucket/{key}")
    except InvalidLocation:
        return
    assert Location.parse(str(location)) == location
    assert ".." not in location.key.split("/")
