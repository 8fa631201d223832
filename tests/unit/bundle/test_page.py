"""The download page as the role renders it, for sites that differ in what a page can get wrong."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
import zxingcpp
from ansible.module_utils.config_string import parse
from ansible.module_utils.probe_terms import PROOFS
from lxml import etree  # type: ignore[import-untyped]

from filter.rustdesk_page import rustdesk_bandwidth_plan

from ..wire_examples import vectors  # noqa: TID252 - the tests are no installed package
from . import pages, test_bundle_site
from .pages import LANGUAGES, ROOT, SITES, Page

if TYPE_CHECKING:
    from pathlib import Path

ROLE = ROOT / "roles" / "rustdesk_bundle"
CONTENTS = yaml.safe_load((ROLE / "vars/page.yml").read_text(encoding="utf-8"))["__rustdesk_bundle_page_contents"]
SECTIONS = ["help", *CONTENTS, "contact"]
EXTERNAL = re.compile(r"https://(rustdesk\.com/docs/|github\.com/rustdesk/rustdesk(/|$))")
"""Documentation of RustDesk itself: all that the page may lead to beside the site's own addresses."""


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pages")
    pages.render(SITES, directory)
    return directory


@pytest.fixture(params=[(site, language) for site in SITES for language in LANGUAGES], ids="-".join)
def page(request: pytest.FixtureRequest, rendered: Path) -> Page:
    return pages.read(rendered, *request.param)


def settings(page: Page) -> dict[str, Any]:
    return SITES[page.site].settings


def texts() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in sorted((ROLE / "files/page/texts").glob("*.yml")):
        found |= yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


# --- Texts ---------------------------------------------------------------------------------------------------------


def leaves(node: Any, path: str = "") -> dict[str, dict[str, str]]:
    if isinstance(node, dict):
        if set(LANGUAGES) & set(node):
            return {path: node}
        return {key: leaf for name, below in node.items() for key, leaf in leaves(below, f"{path}.{name}").items()}
    if isinstance(node, list):
        return {key: leaf for n, below in enumerate(node) for key, leaf in leaves(below, f"{path}[{n}]").items()}
    return {}


LEAVES = leaves(texts())


@pytest.mark.parametrize("path", LEAVES)
def test_every_text_says_the_same_in_both_languages(path: str) -> None:
    text = LEAVES[path]
    assert set(text) == set(LANGUAGES)
    for pattern in (r"\{[a-z_]+\}", r"\]\([^)]+\)", r"`[^`{]+`", r"\d+"):
        german, english = (sorted(re.findall(pattern, text[language])) for language in LANGUAGES)
        if pattern == r"\d+":  # "3,6" and "3.6", "64 Bit" and "64-bit"
            german, english = sorted(set(german)), sorted(set(english))
        assert german == english, pattern


def test_there_are_texts() -> None:
    assert len(LEAVES) > 150


# --- Form ----------------------------------------------------------------------------------------------------------


def test_everything_is_rendered(page: Page) -> None:
    assert page.text.startswith("<!DOCTYPE html>\n<html ")
    for trace in ("{{", "{%", "{#", "undefined", "Undefined", "bound method", ">None<", "VARIABLE", "vault"):
        assert trace not in page.text, trace
    assert not re.search(r"\{[a-z_]+\}", page.words)


def test_ids_are_unique_and_links_within_lead_somewhere(page: Page) -> None:
    ids = page.texts("//@id")
    assert len(ids) == len(set(ids))
    targets = {link.removeprefix("#") for link in page.texts("//@href") if link.startswith("#")}
    referenced = {
        one for name in ("for", "aria-labelledby", "aria-describedby", "data-copy") for one in page.texts(f"//@{name}")
    }
    missing = (targets | {one for words in referenced for one in words.split()}) - set(ids)
    assert not missing


def test_every_section_is_there_in_order(page: Page) -> None:
    ids = page.texts("//*[local-name()='section']/@id")
    assert ids == SECTIONS
    assert page.texts("//nav[@class='contents']//@href") == [f"#{name}" for name in SECTIONS if name != "help"]


def test_headings_leave_no_level_out(page: Page) -> None:
    levels = [int(name[1]) for name in (str(e.tag) for e in page.root.iter("h1", "h2", "h3", "h4", "h5"))]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_both_languages_are_built_alike(rendered: Path) -> None:
    for site in SITES:
        german, english = (pages.read(rendered, site, language) for language in LANGUAGES)
        assert [e.tag for e in german.root.iter() if e.tag not in MARKS] == [
            e.tag for e in english.root.iter() if e.tag not in MARKS
        ]
        assert german.texts("//@id") == english.texts("//@id")


MARKS = {"code", "strong", "a"}
"""What a text itself may mark: the test of the texts compares those."""


def test_nothing_that_a_strict_policy_forbids(page: Page) -> None:
    assert page.texts("//style | //*[local-name()='style']") == []
    assert page.texts("//@style") == []
    assert [name for e in page.root.iter() for name in e.attrib if str(name).startswith("on")] == []
    scripts = page.root.xpath("//script")
    assert isinstance(scripts, list)
    assert [(bool(script.get("src")), script.text) for script in scripts] == [(True, None)]
    assert not [link for link in page.texts("//@href | //@src") if link.startswith(("javascript:", "data:"))]


def test_language_and_its_alternatives_are_declared(page: Page) -> None:
    base = settings(page)["rustdesk_download_url"]
    assert page.root.get("lang") == page.language
    alternates = dict(
        zip(page.texts("//link[@rel='alternate']/@hreflang"), page.texts("//link[@rel='alternate']/@href"), strict=True)
    )
    assert alternates == {"de": f"{base}/de/", "en": f"{base}/en/", "x-default": f"{base}/"}
    assert page.texts("//nav[@class='languages']/a/@hreflang") == list(LANGUAGES)
    assert page.texts("//nav[@class='languages']/a[@aria-current='page']/@hreflang") == [page.language]


def test_picture_is_described(page: Page) -> None:
    assert page.texts("//*[local-name()='svg']/@role") == ["img"]
    title, description = page.texts("//*[local-name()='svg']/*[local-name()='title' or local-name()='desc']")
    assert title.strip()
    assert settings(page)["rustdesk_host"] in description


def test_assets_are_there_and_named_by_their_content(page: Page, rendered: Path) -> None:
    directory = rendered / page.site / page.language
    own = [link for link in page.texts("//@src | //link/@href") if "/assets/" in link]
    assert len(own) >= 4
    for link in own:
        path = (directory / link).resolve()
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        assert re.fullmatch(rf"[a-z]+\.{digest}\.[a-z]+", path.name)
        assert test_bundle_site.cached(f"/rd/assets/{path.name}").endswith("immutable")


# --- The site ------------------------------------------------------------------------------------------------------


def test_only_the_site_s_own_and_documentation_are_linked(page: Page) -> None:
    site = settings(page)
    own = (site["rustdesk_download_url"], site["rustdesk_contact"].get("portal") or site["rustdesk_download_url"])
    links = [link for link in page.texts("//@href | //@src") if not link.startswith(("#", "../", "tel:", "mailto:"))]
    assert links
    assert [link for link in links if not link.startswith(own) and not EXTERNAL.match(link)] == []


def test_no_other_site_is_named(page: Page) -> None:
    if page.site != "gtr":
        assert "gtr" not in page.text.replace("rustdesk-gtr.zip", "").replace("rustdesk-gtr-1.4.9", "").lower()


def test_every_port_of_the_site_is_named_and_no_other(page: Page) -> None:
    site = settings(page)
    base, relay = int(site["rustdesk_port"]), int(site["rustdesk_relay_port"])
    named = {int(number) for number in re.findall(r"\b[23]1\d{3}\b", page.words)}
    api = set() if site["rustdesk_api"] else {base - 2}
    assert named == {base - 1, base, relay} | api
    table = "//section[@id='network']/table[caption]/tbody/tr"
    rows = list(zip(page.texts(f"{table}/td[1]"), page.texts(f"{table}/td[2]"), strict=True))
    assert rows == [("TCP", str(base - 1)), ("TCP", str(base)), ("UDP", str(base)), ("TCP", str(relay))]


def test_ports_have_their_true_purposes(page: Page) -> None:
    purposes = page.texts("//section[@id='network']/table[caption]/tbody/tr/td[4]")
    words = {
        "de": ("NAT-Test", "Verbindungswünsche", "Anmeldung", "Relay"),
        "en": ("NAT type", "Connection requests", "Registration", "Relay"),
    }
    for purpose, word in zip(purposes, words[page.language], strict=True):
        assert purpose.startswith(word)


def test_commands_open_the_site_s_ports(page: Page) -> None:
    site = settings(page)
    base, relay = site["rustdesk_port"], site["rustdesk_relay_port"]
    tcp = f"{base - 1},{base},{relay}"
    wanted = {
        "firewall-netsh": f"protocol=TCP remoteport={tcp} ",
        "firewall-powershell": f"-Protocol TCP -RemotePort {tcp} ",
        "firewall-ufw": f"sudo ufw allow out proto tcp to any port {tcp} ",
        "firewall-firewalld": f"--add-port={relay}/tcp",
        "firewall-nftables": f"tcp dport {{ {base - 1}, {base}, {relay} }} counter accept",
        "firewall-pfsense": f"easyrule pass lan udp any any {base}",
    }
    for name, line in wanted.items():
        (command,) = page.texts(f"//*[@id='{name}']")
        assert line in command


def test_company_is_escaped(page: Page) -> None:
    company = settings(page)["rustdesk_contact"]["company"]
    assert company in page.texts("//section[@id='contact']//strong")[0]
    assert company in page.texts("//title")[0]


def test_contacts_are_those_of_the_site_and_no_others(page: Page) -> None:
    contact = settings(page)["rustdesk_contact"]
    dialled = {re.sub(r"[^+0-9]", "", contact["phone"])} if "phone" in contact else set()
    assert {link.removeprefix("tel:") for link in page.texts("//@href") if link.startswith("tel:")} == dialled
    assert {link for link in page.texts("//@href") if link.startswith("mailto:")} == {f"mailto:{contact['email']}"}
    assert (contact.get("portal") in page.texts("//@href")) is ("portal" in contact)


def test_country_is_said(page: Page) -> None:
    country = {
        "ports": {"de": "Server und Relay zeichnen", "en": "Server and relay record"},
        "gtr": {"de": "in Deutschland", "en": "in Germany"},
        "relays": {"de": "im Land XK", "en": "in the country XK"},
    }.get(page.site, {"de": "in der Schweiz", "en": "in Switzerland"})[page.language]
    assert page.words.count(country) == (1 if page.site == "ports" else 2)


def test_relays_are_named(page: Page) -> None:
    for relay in settings(page)["rustdesk_relays"]:
        assert relay in page.words


# --- Configuration -------------------------------------------------------------------------------------------------


def config_string(page: Page) -> str:
    (string,) = page.texts("//*[@id='config-string']")
    return string


def test_published_configuration_string_is_kept(rendered: Path) -> None:
    published = vectors("config_string")["cases"][0]
    assert published["config"]["host"] == "rustdesk.gtr.de"
    assert config_string(pages.read(rendered, "gtr", "de")) == published["string"]


def test_configuration_string_is_the_site_s(page: Page) -> None:
    site = settings(page)
    base = site["rustdesk_port"]
    host = site["rustdesk_host"] if base == 21116 else f"{site['rustdesk_host']}:{base}"
    assert parse(config_string(page)) == {
        "host": host,
        "key": site["rustdesk_key"],
        "relay": site.get("rustdesk_relay_server", ""),
        "api": site["rustdesk_api"],
    }
    assert config_string(page) in page.texts("//*[@id='config-command']")[0]


def test_qr_code_says_the_configuration_string(page: Page, rendered: Path) -> None:
    (picture,) = (rendered / page.site / "assets").glob("configuration.*.svg")
    modules = drawn(picture.read_text(encoding="utf-8"))
    (found,) = zxingcpp.read_barcodes(modules)
    assert found.text == f"config={config_string(page)}"


def drawn(svg: str) -> Any:
    """Draw a code's picture as rows of grey values: its path has horizontal lines of one module's height only."""
    root = etree.fromstring(svg.encode("utf-8"))
    path = root.xpath("string(//*[local-name()='path' and @stroke]/@d)")
    size = int(float(str(root.get("width")))) // 4
    rows = [[255] * size for _ in range(size)]
    x = y = 0.0
    for command, first, second, length in re.findall(r"([Mm])([-\d.]+) ([-\d.]+)|h([-\d]+)", str(path)):
        if command == "M":
            x, y = float(first), float(second)
        elif command == "m":
            x, y = x + float(first), y + float(second)
        else:
            for column in range(int(x), int(x) + int(length)):
                rows[int(y)][column] = 0
            x += int(length)
    return enlarged(rows, 4)


def enlarged(rows: list[list[int]], times: int) -> Any:
    """Return a picture as what the decoder reads: a two-dimensional buffer of bytes."""
    flat = bytes(value for row in rows for _ in range(times) for value in row for _ in range(times))
    side = len(rows) * times
    return memoryview(flat).cast("B", (side, side))


# --- Download ------------------------------------------------------------------------------------------------------


def test_every_archive_is_offered_with_its_size_and_hash(page: Page) -> None:
    archives = settings(page)["download"]["archives"]
    links = page.texts("//a/@href")
    for archive in archives:
        assert links.count(f"../{archive['url']}") == 2, "in the first lines and in the section"
        assert f"../{archive['versioned_url']}" in links
        assert archive["sha256"] in page.texts(f"//*[@id='sha256-{archive['architecture']}']")
        megabytes = f"{archive['size'] / 1e6:.1f}".replace(".", "," if page.language == "de" else ".")
        assert f"{megabytes} MB" in page.words
    assert len({link for link in links if link.endswith(".zip")}) == 2 * len(archives)
    assert page.texts("//a[@class='button']/@href") == [f"../{archives[0]['url']}"]


def test_signature_is_explained_where_there_is_one(page: Page) -> None:
    download = settings(page)["download"]
    commands = page.texts("//*[@id='verify-signature']")
    if not download["signature"]:
        assert commands == []
        assert "minisign" not in page.words
    else:
        key = download["signature_public_key"]
        minisign = f"minisign -Vm SHA256SUMS -P '{key}'"
        gpg = f"gpg --import SHA256SUMS.key.asc\ngpg --verify {download['signature']} SHA256SUMS"
        assert commands == [minisign if download["signature"].endswith(".minisig") else gpg]
        links = page.texts("//a/@href")
        assert f"../{download['signature']}" in links
        assert ("../SHA256SUMS.key.asc" in links) is download["signature"].endswith(".asc")


def test_every_archive_can_be_verified(page: Page) -> None:
    for archive in settings(page)["download"]["archives"]:
        for system in ("windows", "linux"):
            (command,) = page.texts(f"//*[@id='verify-{system}-{archive['architecture']}']")
            assert archive["name"] in command
            assert archive["sha256"] in command


def test_lines_of_a_command_prompt_are_told_as_such(page: Page) -> None:
    """PowerShell takes a path in quotation marks for a text, and what follows for a fault."""
    (command,) = page.texts("//*[@id='config-command']")
    assert command.startswith('"')
    assert {"de": "Eingabeaufforderung (cmd)", "en": "Command Prompt (cmd)"}[page.language] in page.words


def test_text_and_table_of_the_bandwidth_agree(page: Page) -> None:
    sentence = page.texts("//section[@id='bandwidth']/ul[1]/li[1]")[0]
    for count in (1, 3):
        plan = rustdesk_bandwidth_plan(count, 1000)
        low, high = (str(plan[f"megabits_per_second_{end}"]) for end in ("low", "high"))
        numbers = (text.replace(".", "," if page.language == "de" else ".") for text in (low, high))
        assert {"de": "{} bis {} Mbit/s", "en": "{} to {} Mbit/s"}[page.language].format(*numbers) in " ".join(
            sentence.split()
        )


# --- What it says --------------------------------------------------------------------------------------------------


def test_every_proof_is_explained_once(page: Page) -> None:
    explained = page.texts("//tr[starts-with(@id, 'proof-')]/th/code")
    assert explained == list(PROOFS)
    remedies = page.texts("//tr[starts-with(@id, 'proof-')]/td[2]")
    assert all(remedy.strip() for remedy in remedies)


def test_cryptography_is_what_rustdesk_has(page: Page) -> None:
    faq = " ".join(page.texts("//section[@id='faq']")[0].split())
    for name in ("Ed25519", "X25519", "XSalsa20-Poly1305"):
        assert name in faq


@pytest.mark.parametrize(
    "claim",
    [
        r"\bRSA\b",
        r"\bAES\b",
        r"TLS ?1\.2",
        r"(?i)audited|auditiert",
        r"(?<!A)GPL",
        r"--zone=public",
        r"(?i)TeamViewer",
        r"(?i)military|militär",
        r"(?i)proxy support|proxies work",
    ],
)
def test_claims_that_are_false_are_not_made(page: Page, claim: str) -> None:
    assert not re.search(claim, page.words)


def test_relay_port_is_in_the_checklist(page: Page) -> None:
    (first,) = page.texts("//label[@for='check-ports']")
    assert str(settings(page)["rustdesk_relay_port"]) in first


# --- Output --------------------------------------------------------------------------------------------------------


def test_rendering_again_gives_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    pages.render({"acme": SITES["acme"]}, tmp_path)
    assert snapshot(tmp_path / "acme") == snapshot(rendered / "acme")


def snapshot(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): base64.b64encode(path.read_bytes()).decode()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_files_are_readable_for_a_web_server(rendered: Path) -> None:
    paths = list((rendered / "gtr").rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o644}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_visitor_loads_less_than_100_kilobytes(rendered: Path, language: str) -> None:
    site = rendered / "gtr"
    assert sum(path.stat().st_size for path in [site / language / "index.html", *(site / "assets").iterdir()]) < 100_000
