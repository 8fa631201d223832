"""The object files with a program's resources are what other tools take them for."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pefile
import pytest
from ansible.module_utils.launcher_icon import EDGES, LAUNCHER, RESET, icon
from ansible.module_utils.launcher_site import version_strings
from ansible.module_utils.windows_resources import MACHINES, Resource, icons, manifest, object_file, version

from .programs import ARGUMENTS, built

if TYPE_CHECKING:
    from pathlib import Path

STRINGS = version_strings(ARGUMENTS, "rustdesk-example.exe", "Does something")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> pefile.PE:
    return pefile.PE(str(built(tmp_path_factory.getbasetemp())["amd64/rustdesk-example.exe"]))


def resources(program: pefile.PE, kind: str) -> list[bytes]:
    """All resources of a kind, as the linked program has them."""
    number = pefile.RESOURCE_TYPE[kind]
    found = []
    for entry in program.DIRECTORY_ENTRY_RESOURCE.entries:
        if entry.id == number:
            for one in entry.directory.entries:
                (language,) = one.directory.entries
                place = language.data.struct
                found.append(program.get_data(place.OffsetToData, place.Size))
    return found


@pytest.mark.parametrize("architecture", MACHINES)
def test_object_file_has_one_section_that_can_be_moved(architecture: str) -> None:
    content = object_file(architecture, [Resource(16, 1, b"abc"), Resource(3, 2, b"d"), Resource(3, 1, b"efghijklm")])
    machine, sections, stamp, symbols_at, symbols, optional, _flags = struct.unpack_from("<HHIIIHH", content)
    assert (machine, sections, stamp, symbols, optional) == (MACHINES[architecture], 1, 0, 1, 0)
    name, _, _, size, at, relocations_at, _, relocations, _, flags = struct.unpack_from("<8sIIIIIIHHI", content, 20)
    assert (name.rstrip(b"\0"), relocations, flags) == (b".rsrc", 3, 0x40000040)
    section = content[at : at + size]
    found = []
    for index in range(relocations):
        place, symbol, kind = struct.unpack_from("<IIH", content, relocations_at + 10 * index)
        assert (symbol, kind) == (0, {"amd64": 3, "arm64": 2}[architecture])
        offset, length = struct.unpack_from("<II", section, place)
        found.append(section[offset : offset + length])
    assert found == [b"efghijklm", b"d", b"abc"]
    assert content[symbols_at:].endswith(struct.pack("<I", 4))


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [("1.2.3", (1, 2, 3, 0)), ("1.4.9-2", (1, 4, 9, 2)), ("70000", (65535, 0, 0, 0)), ("1.2.3.4.5", (1, 2, 3, 4))],
)
def test_version_numbers_are_four(numbers: str, wanted: tuple[int, ...]) -> None:
    fixed = version(numbers, {}).content[40:]
    assert struct.unpack_from("<I", fixed) == (0xFEEF04BD,)
    high, low = struct.unpack_from("<II", fixed, 8)
    assert (high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF) == wanted


def test_explorer_reads_version_and_company(program: pefile.PE) -> None:
    (info,) = program.FileInfo
    (table,) = (part.StringTable[0] for part in info if hasattr(part, "StringTable"))
    found = {key.decode(): value.decode() for key, value in table.entries.items()}
    assert found == version_strings(ARGUMENTS, "rustdesk-example.exe", "Sets RustDesk to its server and starts it")
    (translation,) = (part.Var[0] for part in info if hasattr(part, "Var"))
    assert translation.entry == {b"Translation": "0x0409 0x04b0"}
    assert (program.VS_FIXEDFILEINFO[0].FileVersionMS, program.VS_FIXEDFILEINFO[0].FileVersionLS) == (0x10002, 0x30000)


def test_manifest_asks_for_no_rights_and_for_utf_8(program: pefile.PE) -> None:
    (text,) = resources(program, "RT_MANIFEST")
    assert text == manifest().content
    tree = ET.fromstring(text)
    values = {element.tag.rpartition("}")[2]: (element.text or "").strip() for element in tree.iter()}
    assert (values["activeCodePage"], values["longPathAware"]) == ("UTF-8", "true")
    (level,) = tree.iter("{urn:schemas-microsoft-com:asm.v3}requestedExecutionLevel")
    assert level.attrib == {"level": "asInvoker", "uiAccess": "false"}
    assert [element for element in tree.iter() if element.tag.endswith("supportedOS")]


def test_icon_is_there_in_all_sizes(program: pefile.PE) -> None:
    (group,) = resources(program, "RT_GROUP_ICON")
    pictures = resources(program, "RT_ICON")
    assert struct.unpack_from("<HHH", group) == (0, 1, len(EDGES)) == (0, 1, len(pictures))
    for index, (edge, picture) in enumerate(zip(EDGES, pictures, strict=True)):
        width, height, _, _, planes, bits, size, number = struct.unpack_from("<BBBBHHIH", group, 6 + 14 * index)
        assert (width, height, planes, bits, size, number) == (edge, edge, 1, 32, len(picture), index + 1)
        assert struct.unpack_from("<Iii", picture) == (40, edge, edge * 2)


def test_the_two_icons_can_be_told_apart() -> None:
    for left, right in zip(icon(LAUNCHER), icon(RESET), strict=True):
        assert left.content != right.content
        assert len(set(struct.iter_unpack("4B", left.content[40 : 40 + left.edge**2 * 4]))) > 3
    assert len(icons(icon(LAUNCHER))) == len(EDGES) + 1


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("name", ["rustdesk-example.exe", "rustdesk-reset.exe"])
def test_programs_are_windows_programs_without_a_console(
    architecture: str, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path: Path = built(tmp_path_factory.getbasetemp())[f"{architecture}/{name}"]
    found = pefile.PE(str(path))
    assert found.FILE_HEADER.Machine == MACHINES[architecture]
    assert found.OPTIONAL_HEADER.Subsystem == pefile.SUBSYSTEM_TYPE["IMAGE_SUBSYSTEM_WINDOWS_GUI"]
    assert found.FILE_HEADER.TimeDateStamp == 0
    assert len(resources(found, "RT_ICON")) == len(EDGES)


def test_checksum_is_as_windows_counts_it(program: pefile.PE) -> None:
    assert program.verify_checksum()
