"""What is shown of a URI holds no secret, however clients spell it."""

import pytest

from pipeline.storage.uris import shown, without_secrets


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:SECRET@host/a.mp4",
        "https://host/a.mp4?signature=SECRET#SECRET",
        "simplecache::s3://key:SECRET@bucket/a.mp4?sig=SECRET",
        "zip://a.mp4::https://me:SECRET@host/b.zip",
        "http://[SECRET",
    ],
)
def test_no_secret_is_shown(uri):
    assert "SECRET" not in shown(uri)
    assert "SECRET" not in without_secrets(f"403, url='{uri}' (Forbidden), see {uri}.")


def test_paths_and_words_stay_as_they_are():
    for text in ("/data/a::b c.mp4", "no URI: at all", "10:30", "s3://bucket/a b"):
        assert without_secrets(text) == text
