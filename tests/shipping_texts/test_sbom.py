"""The bill of materials: CycloneDX 1.6, the same for the same wheelhouse."""

from __future__ import annotations

import dataclasses
import json
import re

from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.model.manifest import BuildRecord, Manifest, ManifestFile
from hardtack.model.wheel import WheelFacts
from hardtack.shipping.sbom import sbom

A, B = "a" * 64, "b" * 64
ONE = ManifestFile(
    filename="one-1.0+cpu-py3-none-any.whl",
    path="one-1.0+cpu-py3-none-any.whl",
    sha256=A,
    size=5,
    name="one",
    version="1.0+cpu",
    targets=("t",),
    origin="https://user:s3cr3t@h/one-1.0%2Bcpu-py3-none-any.whl",
)
TWO = dataclasses.replace(
    ONE,
    filename="two-1-py3-none-any.whl",
    sha256=B,
    name="two",
    version="1",
    origin="built",
    build=BuildRecord(source="two-1.tar.gz", source_sha256=B, backend="b", requires={"s==1": A}, sandbox="none", python="3.12"),
)
MANIFEST = Manifest(layout="flat", targets={"t": {}}, files=(TWO, ONE), pins=())
FACTS = {
    A: WheelFacts(
        filename=ONE.filename,
        sha256=A,
        size=5,
        name="one",
        version=Version("1.0+cpu"),
        build=(),
        tags=frozenset(),
        requires_python=None,
        requires=(Requirement("Two>=1"), Requirement("absent; extra == 'x'")),
        extras=frozenset(),
        display_name="One",
        summary="First",
        license="mit OR apache-2.0",
    ),
}


def test_what_it_lists() -> None:
    document = json.loads(sbom(MANIFEST, FACTS))
    assert (document["bomFormat"], document["specVersion"], document["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", document["serialNumber"])
    one, two = document["components"]
    assert one["name"] == "One"
    assert one["purl"] == "pkg:pypi/one@1.0%2Bcpu?file_name=one-1.0%2Bcpu-py3-none-any.whl"
    assert one["hashes"] == [{"alg": "SHA-256", "content": A}]
    assert one["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert one["externalReferences"] == [{"type": "distribution", "url": "https://h/one-1.0%2Bcpu-py3-none-any.whl"}]
    assert {"name": "hardtack:built-with", "value": f"s==1 sha256:{A}"} in two["properties"]
    assert "externalReferences" not in two
    needs = {row["ref"]: row["dependsOn"] for row in document["dependencies"]}
    assert needs == {one["bom-ref"]: [two["bom-ref"]], two["bom-ref"]: []}


def test_the_same_wheelhouse_gives_the_same_bytes_and_another_another_serial() -> None:
    turned = dataclasses.replace(MANIFEST, files=MANIFEST.files[::-1])
    assert sbom(turned, FACTS) == sbom(MANIFEST, FACTS)
    less = dataclasses.replace(MANIFEST, files=(ONE,))
    assert json.loads(sbom(less))["serialNumber"] != json.loads(sbom(MANIFEST))["serialNumber"]


def test_a_licence_that_is_no_expression_is_named() -> None:
    facts = {A: dataclasses.replace(FACTS[A], license="Our own\n  licence")}
    assert json.loads(sbom(MANIFEST, facts))["components"][0]["licenses"] == [{"license": {"name": "Our own licence"}}]
    assert b"s3cr3t" not in sbom(MANIFEST, facts)
