# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import os
import signal
import struct
import sys
import zlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from audit.annotators import credentials
from audit.annotators.credentials import CredentialsAnnotator
from audit.errors import AnnotatorError, ConfigError
from audit.provenance import Claim, Stamper, _engine, development_chain
from audit.provenance._limits import Limits
from audit.types import Annotator, ImageRecord

RGB = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    development_chain(folder)
    return folder


@pytest.fixture(scope="module")
def records(keys: Path) -> list[ImageRecord]:
    out = io.BytesIO()
    Image.fromarray(RGB).save(out, "PNG")
    claim = Claim("t", "g", None, "r-1", "00", "1", datetime.now(UTC))
    signed = Stamper(keys, tool_version="0").stamp(out.getvalue(), claim).data
    end, text = signed.rfind(b"IEND") - 4, b"tEXtparameters\0a cat"
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    tampered = signed[:end] + chunk + signed[end:]
    data = [
        signed,
        signed,
        out.getvalue(),
        tampered,
        b"junk",
        Stamper(keys, tool_version="0", broken_parents="record").stamp(tampered, claim).data,
    ]
    ids = ["r-1", "r-2", "r-1", "r-1", "r-1", "r-1"]
    return [ImageRecord(name, "00", "a portrait", file, RGB) for name, file in zip(ids, data, strict=True)]


@pytest.mark.parametrize(("workers", "isolated"), [(1, False), (4, False), (2, True)])
def test_columns(records: list[ImageRecord], workers: int, isolated: bool) -> None:
    annotator = CredentialsAnnotator(workers=workers, isolated=isolated)
    assert isinstance(annotator, Annotator)
    columns = annotator.annotate(records)
    assert list(columns) == list(annotator.spec.columns)
    states = ["valid_untrusted", "valid_untrusted", "absent", "invalid", "unreadable", "bad_ingredient"]
    assert columns["state"].tolist() == states
    issuer = "genaudit development chain - not trusted"
    assert columns["issuer"].tolist() == [issuer, issuer, None, None, None, issuer]
    nan = np.nan
    np.testing.assert_array_equal(columns["ai"], [1, 1, nan, nan, nan, 1])
    np.testing.assert_array_equal(columns["request_match"], [1, 0, nan, nan, nan, 1])


def test_no_images() -> None:
    columns = CredentialsAnnotator().annotate([])
    assert {len(values) for values in columns.values()} == {0}


def test_anchors_make_trust_and_another_digest(records: list[ImageRecord], keys: Path) -> None:
    annotator = CredentialsAnnotator(anchors=str(keys / "root.pem"))
    assert annotator.annotate(records[:1])["state"].tolist() == ["no_timestamp"]
    assert annotator.spec.digest != CredentialsAnnotator().spec.digest
    signers = CredentialsAnnotator(trust=[str(keys / "root.pem")])
    assert signers.annotate(records[:1])["state"].tolist() == ["no_timestamp"]
    assert signers.spec.digest != annotator.spec.digest
    for_time = CredentialsAnnotator(trust_timestamps=[keys / "root.pem"])
    assert for_time.annotate(records[:1])["state"].tolist() == ["valid_untrusted"]  # vouches for time, not for signers
    assert CredentialsAnnotator(workers=3, isolated=True).spec.digest == CredentialsAnnotator().spec.digest


def test_one_file_that_costs_too_much_is_a_row(records: list[ImageRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credentials, "Limits", lambda bytes: Limits(seconds=0.5, bytes=bytes))  # noqa: A006
    annotator = CredentialsAnnotator(isolated=True)
    annotator.annotate(records[:1])
    assert annotator._sandbox is not None
    os.kill(annotator._sandbox.children[0], signal.SIGSTOP)
    columns = annotator.annotate(records[:2])
    assert columns["state"].tolist() == ["undetermined", "valid_untrusted"]
    assert np.isnan(columns["ai"][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"anchor": "x"}, "unknown key"), ({"workers": 0}, "workers"), ({"anchors": "missing.pem"}, "cannot be read")],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CredentialsAnnotator(**options)


def test_anchors_without_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("nothing")
    with pytest.raises(ConfigError, match="no certificate"):
        CredentialsAnnotator(anchors=tmp_path / "a.pem")


def test_a_missing_library_is_an_error_not_an_absence(records, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    monkeypatch.setattr(_engine, "_CONTEXTS", {})
    with pytest.raises(AnnotatorError, match="not installed"):
        CredentialsAnnotator().annotate(records)
