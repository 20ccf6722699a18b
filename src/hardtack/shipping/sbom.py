"""sbom.cdx.json: the wheels of a wheelhouse as CycloneDX 1.6, from the manifest and the wheels' own facts."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from hardtack.model.manifest import Manifest, ManifestFile, ManifestSource
from hardtack.model.wheel import WheelFacts
from hardtack.wheelhouse.pylock_packages import without_credentials

SBOM_NAME = "sbom.cdx.json"
_NAMESPACE = uuid.UUID("8b4f6c3e-0d0c-5b44-9c9f-0a4c6c4b8d4e")


def sbom(manifest: Manifest, facts: Mapping[str, WheelFacts] | None = None) -> bytes:
    """The bill of materials as JSON. ``facts`` by sha256 give display names, summaries, licences and who needs whom.

    Deterministic: its serial number comes from what it lists, and it has no time of day.
    """
    facts = facts or {}
    files = sorted(manifest.files, key=lambda file: (file.name, file.version, file.filename, file.sha256))
    sources = {(source.name, source.version): source for source in manifest.sources}
    components = [_component(file, facts.get(file.sha256), sources.get((file.name, file.version))) for file in files]
    references = {(target, file.name): _reference(file) for file in files for target in file.targets}
    body = {
        "metadata": {"tools": {"components": [{"type": "application", "name": "hardtack"}]}, "component": _wheelhouse(manifest)},
        "components": components,
        "dependencies": [
            {"ref": _reference(file), "dependsOn": sorted(_needs(file, facts.get(file.sha256), references))} for file in files
        ],
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        **body,
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _wheelhouse(manifest: Manifest) -> dict[str, Any]:
    properties = [{"name": "hardtack:target", "value": name} for name in sorted(manifest.targets)]
    return {"type": "data", "bom-ref": "wheelhouse", "name": "wheelhouse", **({"properties": properties} if properties else {})}


def _reference(file: ManifestFile) -> str:
    return f"{file.filename}#{file.sha256[:16]}"


def _component(file: ManifestFile, facts: WheelFacts | None, source: ManifestSource | None) -> dict[str, Any]:
    purl = f"pkg:pypi/{quote(file.name)}@{quote(file.version, safe='!')}?file_name={quote(file.filename, safe='')}"
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(file),
        "name": facts.display_name if facts else file.name,
        "version": file.version,
    }
    if facts and facts.summary:
        component["description"] = facts.summary
    component["hashes"] = [{"alg": "SHA-256", "content": file.sha256}]
    if facts and facts.license:
        component["licenses"] = [_license(facts.license)]
    component["purl"] = purl
    references: list[dict[str, Any]] = []
    if urlsplit(file.origin).scheme in ("http", "https"):
        references.append({"type": "distribution", "url": without_credentials(file.origin)})
    if source is not None:
        # Where it lies in the wheelhouse: what was made here has no other place.
        hashes = [{"alg": "SHA-256", "content": source.sha256}]
        references.append({"type": "source-distribution", "url": quote(source.path), "hashes": hashes})
    if references:
        component["externalReferences"] = references
    properties = [("hardtack:file", file.path), ("hardtack:hash-source", file.hash_source), ("hardtack:size", str(file.size))]
    properties += [("hardtack:target", target) for target in sorted(file.targets)]
    if file.build is not None:
        properties += [("hardtack:built-from", file.build.source), ("hardtack:built-from-sha256", file.build.source_sha256)]
        properties += [("hardtack:built-with", f"{name} sha256:{digest}") for name, digest in sorted(file.build.requires.items())]
    component["properties"] = [{"name": name, "value": value} for name, value in properties]
    return component


def _license(text: str) -> dict[str, Any]:
    """An SPDX expression where it is one (PEP 639), else a licence by its name."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        return {"expression": str(canonicalize_license_expression(text))}
    except InvalidLicenseExpression:
        return {"license": {"name": " ".join(text.split())[:200]}}


def _needs(file: ManifestFile, facts: WheelFacts | None, references: Mapping[tuple[str, str], str]) -> set[str]:
    """The files here that a file's own metadata may ask for, on any of its targets; markers and extras are not judged."""
    if facts is None:
        return set()
    from packaging.utils import canonicalize_name

    names = {canonicalize_name(requirement.name) for requirement in facts.requires}
    return {references[target, name] for target in file.targets for name in names if (target, name) in references} - {_reference(file)}
