# SPDX-License-Identifier: Apache-2.0
"""What SPDX 2.3 asks of a document in JSON, as far as SBOMs of ours use it (spdx.github.io/spdx-spec/v2.3)."""

import hashlib
import re

IDENTIFIER = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
LICENCE = re.compile(r"NONE|NOASSERTION|Apache-2\.0|LicenseRef-[A-Za-z0-9.-]+")
PURPOSES = {"APPLICATION", "FRAMEWORK", "LIBRARY", "CONTAINER", "OPERATING-SYSTEM", "DEVICE", "FIRMWARE",
            "SOURCE", "ARCHIVE", "FILE", "INSTALL", "OTHER"}
RELATIONSHIPS = {"DESCRIBES", "CONTAINS", "DEPENDS_ON"}
LENGTHS = {"SHA1": 40, "SHA256": 64}
PURL = re.compile(r"pkg:deb/[a-z0-9-]+/[A-Za-z0-9.%_~-]+@[A-Za-z0-9.%_~-]+\?arch=[a-z0-9]+(&[a-z]+=[A-Za-z0-9.%_~-]+)*")


def checksum(file, algorithm):
    found = [c["checksumValue"] for c in file["checksums"] if c["algorithm"] == algorithm]
    assert len(found) == 1, file
    return found[0]


def related(document, subject, kind):
    """Whom `subject` has a relationship of that kind to."""
    return {r["relatedSpdxElement"] for r in document["relationships"]
            if (r["spdxElementId"], r["relationshipType"]) == (subject, kind)}


def check_head(document):
    """Clause 6."""
    assert document["spdxVersion"] == "SPDX-2.3"
    assert document["dataLicense"] == "CC0-1.0"
    assert document["SPDXID"] == "SPDXRef-DOCUMENT"
    assert document["name"]
    assert re.fullmatch(r"https://[^\s#]+", document["documentNamespace"])
    creation = document["creationInfo"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", creation["created"])
    assert creation["creators"]
    assert all(re.match(r"(Person|Organization|Tool): \S", who) for who in creation["creators"])


def check_package(document, package, sha1):
    """Clause 7."""
    assert package["name"] and package["versionInfo"]
    assert re.match(r"NOASSERTION$|(Person|Organization): \S", package["supplier"])
    assert re.match(r"NONE$|NOASSERTION$|\w+://", package["downloadLocation"])
    assert re.match(r"NONE$|NOASSERTION$|https?://", package.get("homepage", "NONE"))
    assert package["primaryPackagePurpose"] in PURPOSES
    assert LICENCE.fullmatch(package["licenseConcluded"]) and LICENCE.fullmatch(package["licenseDeclared"])
    assert package["copyrightText"]
    for reference in package.get("externalRefs", []):
        assert reference["referenceCategory"] == "PACKAGE-MANAGER" and reference["referenceType"] == "purl"
        assert PURL.fullmatch(reference["referenceLocator"]), reference
    contains = related(document, package["SPDXID"], "CONTAINS")
    if package["filesAnalyzed"]:
        # 7.9: SHA1 of the sorted SHA1s of its files.
        sums = "".join(sorted(sha1[file] for file in contains))
        code = package["packageVerificationCode"]["packageVerificationCodeValue"]
        assert code == hashlib.sha1(sums.encode()).hexdigest(), package
        assert all(LICENCE.fullmatch(name) for name in package["licenseInfoFromFiles"])
    else:
        assert "packageVerificationCode" not in package and "licenseInfoFromFiles" not in package


def check_file(file):
    """Clause 8."""
    assert file["fileName"].startswith("./")
    assert {c["algorithm"] for c in file["checksums"]} == set(LENGTHS)
    for name, length in LENGTHS.items():
        assert re.fullmatch(rf"[0-9a-f]{{{length}}}", checksum(file, name))
    assert LICENCE.fullmatch(file["licenseConcluded"]) and file["copyrightText"]
    assert all(LICENCE.fullmatch(name) for name in file["licenseInfoInFiles"])


def check(document):
    """Everything; an assertion fails where something is missing."""
    check_head(document)
    ids = [e["SPDXID"] for e in (document, *document["packages"], *document["files"])]
    assert len(ids) == len(set(ids)) and all(IDENTIFIER.fullmatch(i) for i in ids)
    for file in document["files"]:
        check_file(file)
    sha1 = {f["SPDXID"]: checksum(f, "SHA1") for f in document["files"]}
    for package in document["packages"]:
        check_package(document, package, sha1)
    # Clause 10: what is called by a name of the document's own is explained in it, and the other way round.
    texts = {e["licenseId"]: e["extractedText"] for e in document["hasExtractedLicensingInfos"]}
    used = {p["licenseDeclared"] for p in document["packages"]}
    assert {name for name in used if name.startswith("LicenseRef-")} == set(texts) and all(texts.values())
    # Clause 11: all of it hangs together below what the document describes.
    for r in document["relationships"]:
        assert r["relationshipType"] in RELATIONSHIPS
        assert {r["spdxElementId"], r["relatedSpdxElement"]} <= set(ids), r
    described = related(document, "SPDXRef-DOCUMENT", "DESCRIBES")
    assert len(described) == 1
    reached, todo = set(), described
    while todo:
        reached |= todo
        todo = {i for subject in todo for i in related(document, subject, "CONTAINS")} - reached
    assert reached | {"SPDXRef-DOCUMENT"} == set(ids)
