"""The page in a real Chromium, as customers have it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree  # type: ignore[import-untyped]
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

if TYPE_CHECKING:
    from tests.testinfra.bundle.browser import Browser

pytest_plugins = ["tests.testinfra.bundle.browser"]

LANGUAGES = ("de", "en")
PLANS = json.loads((Path(__file__).parents[2] / "vectors/bandwidth.json").read_text(encoding="utf-8"))["cases"]
OVERFLOWING = """
return [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map((element) => element.outerHTML.slice(0, 120));
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_refused_and_nothing_fails(window: Browser, language: str) -> None:
    window.open(f"{language}/")
    for button in window.driver.find_elements(By.CSS_SELECTOR, "button.copy"):
        button.click()
    window.fill("planner-sessions", "0")
    assert window.complaints() == []


def test_policy_is_in_force(window: Browser) -> None:
    window.open("de/")
    window.run("document.body.setAttribute('style', 'color: red');")
    window.run("const script = document.createElement('script'); script.text = '1'; document.head.append(script);")
    window.run("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}));")
    refused = [message for message in window.complaints() if "Content Security Policy" in message]
    assert len(refused) == 3, refused


@pytest.mark.parametrize("language", LANGUAGES)
def test_browser_reads_the_document_as_it_was_written(window: Browser, language: str) -> None:
    """Had an element been nested where none may be, the parser would have moved it."""
    window.open(f"{language}/", scripts=False)
    seen = window.devtools("DOM.getDocument", depth=-1)["root"]
    written = etree.fromstring(window.source().encode("utf-8"))
    assert elements(seen) == [etree.QName(one).localname for one in written.iter("*")]


def elements(node: dict[str, Any]) -> list[str]:
    """Names of a document's elements, in their order."""
    own = [node["localName"]] if node["nodeType"] == 1 else []
    return own + [name for child in node.get("children", []) for name in elements(child)]


# --- Accessible ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(window: Browser, language: str, scheme: str) -> None:
    window.open(f"{language}/", scheme=scheme)
    assert window.accessibility_faults() == []


def test_axe_is_really_asked(window: Browser) -> None:
    window.open("de/")
    window.run("document.querySelector('img.qr').removeAttribute('alt');")
    assert [fault["id"] for fault in window.accessibility_faults()] == ["image-alt"]


def test_dark_mode_is_dark(window: Browser) -> None:
    luminance = {}
    for scheme in ("light", "dark"):
        window.open("de/", scheme=scheme)
        colour = window.run("return getComputedStyle(document.body).backgroundColor;")
        luminance[scheme] = sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3
    assert luminance["light"] > 230
    assert luminance["dark"] < 40


def test_first_key_leads_to_the_content(window: Browser) -> None:
    window.open("de/")
    window.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert window.run("return document.activeElement.className;") == "skip"
    box = window.run("return document.activeElement.getBoundingClientRect().toJSON();")
    assert box["width"] > 50
    window.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert window.run("return location.hash;") == "#main"


@pytest.mark.parametrize("width", [320, 390, 768])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_sticks_out(window: Browser, language: str, width: int) -> None:
    window.open(f"{language}/", width=width, height=700)
    assert window.run(OVERFLOWING) == []
    assert window.run("return document.documentElement.scrollWidth;") == width


# --- What scripts add ----------------------------------------------------------------------------------------------


def test_copy_button_fills_the_clipboard(window: Browser) -> None:
    window.open("de/")
    button = window.driver.find_element(By.CSS_SELECTOR, "[data-copy=config-string]")
    button.click()
    window.wait("return document.querySelector('[data-copy=config-string]').classList.contains('done');")
    assert window.pasted() == window.text("config-string")
    assert button.text == "Kopiert"
    assert window.text("announcement") == "Kopiert"


def test_copy_button_marks_the_text_where_there_is_no_clipboard(window: Browser) -> None:
    window.open("en/")
    window.run("Object.defineProperty(navigator, 'clipboard', {value: undefined});")
    window.driver.find_element(By.CSS_SELECTOR, "[data-copy=config-string]").click()
    window.wait("return document.querySelector('[data-copy=config-string]').classList.contains('done');")
    assert window.run("return String(getSelection());") == window.text("config-string")
    assert window.text("announcement") == "Selected: now press Ctrl+C"


def test_every_copy_button_has_something_to_copy(window: Browser) -> None:
    window.open("de/")
    names = window.run("return [...document.querySelectorAll('[data-copy]')].map((button) => button.dataset.copy);")
    assert len(names) > 10
    assert all(window.text(name).strip() for name in names)


@pytest.mark.parametrize("case", PLANS, ids=lambda case: case["name"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_planner_reckons_as_the_filter_does(window: Browser, language: str, case: dict[str, Any]) -> None:
    window.open(f"{language}/")
    window.fill("planner-screen", str(case["kilobytes_per_second"]))
    window.fill("planner-sessions", str(case["sessions"]))
    plan = case["plan"]
    need, low, high = (plan[f"kilobytes_per_second{end}"] / 1000 for end in ("", "_low", "_high"))
    assert numbers(window.text("planner-need")) == [need, plan["megabits_per_second"]]
    assert numbers(window.text("planner-reserve")) == [
        low,
        high,
        plan["megabits_per_second_low"],
        plan["megabits_per_second_high"],
    ]


def numbers(text: str) -> list[float]:
    """Numbers in a sentence, whichever way their decimals are written."""
    return [float(number.replace(",", ".")) for number in re.findall(r"\d+(?:[.,]\d+)?", text)]


def test_planner_begins_with_the_example_of_the_page(window: Browser) -> None:
    window.open("de/")
    assert window.text("planner-need") == "3 MB/s = 24 Mbit/s"
    assert window.text("planner-reserve") == "3,6\u20133,9 MB/s = 28,8\u201331,2 Mbit/s"


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1001"])
def test_planner_refuses_what_plans_nothing(window: Browser, value: str) -> None:
    window.open("en/")
    window.fill("planner-sessions", value)
    assert window.text("planner-fault") == "A whole number from 1 to 1000, please"
    assert window.text("planner-need") == "\u2013"


def test_checklist_is_remembered(window: Browser) -> None:
    window.open("de/")
    window.driver.find_element(By.CSS_SELECTOR, "label[for=check-dns]").click()
    window.open("en/")
    assert window.run("return [...document.querySelectorAll('.checklist :checked')].map((box) => box.id);") == [
        "check-dns"
    ]


def test_without_scripts_everything_else_works(window: Browser) -> None:
    window.open("de/", scripts=False)
    shown = [button for button in window.driver.find_elements(By.TAG_NAME, "button") if button.is_displayed()]
    assert shown == []
    assert not window.driver.find_element(By.ID, "planner").is_displayed()
    for name in ("help", "config-string", "firewall-ufw", "proof-dns", "faq-encryption", "check-ports"):
        assert window.driver.find_element(By.ID, name).is_displayed(), name
    assert window.driver.find_element(By.CSS_SELECTOR, "a.button").is_displayed()


# --- Links ---------------------------------------------------------------------------------------------------------


def test_language_switch_keeps_the_place(window: Browser) -> None:
    window.open("de/#network")
    window.driver.find_element(By.CSS_SELECTOR, ".languages a[hreflang=en]").click()
    window.wait("return document.documentElement.lang === 'en' && document.readyState === 'complete';")
    assert window.driver.current_url == f"{window.url}/en/#network"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_page_needs_is_served(window: Browser, language: str) -> None:
    window.open(f"{language}/")
    loaded = window.run(
        "return performance.getEntriesByType('resource').map((entry) => [entry.name, entry.responseStatus]);"
    )
    names = {re.sub(r"\.[0-9a-f]{12}\.", ".", url.rsplit("/", 1)[1]) for url, _status in loaded}
    assert names >= {"page.css", "page.js", "favicon.svg", "configuration.svg"}
    assert {status for _url, status in loaded} == {200}
    assert all(url.startswith(f"{window.url}/assets/") for url, _status in loaded)


# --- Paper ---------------------------------------------------------------------------------------------------------


def test_paper_shows_the_content_and_none_of_the_controls(window: Browser) -> None:
    window.open("de/")
    window.show_as("print")
    hidden = window.run(
        "return [...document.querySelectorAll('button, nav, #planner')].filter((one) => one.offsetParent).length;"
    )
    assert hidden == 0
    assert window.driver.find_element(By.ID, "sha256-amd64").is_displayed()
    address = window.run(
        "return getComputedStyle(document.querySelector('#contact a[href^=\"https://\"]'), '::after').content;"
    )
    assert "https://" in address or "attr(href)" in address


def test_it_prints(window: Browser) -> None:
    window.open("de/")
    pages = re.findall(rb"/Type\s*/Page\b", window.pdf())
    assert 4 <= len(pages) <= 20
