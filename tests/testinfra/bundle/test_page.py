"""The page in a real Chromium, as customers have it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.testinfra.bundle.browser import Browser, browser, chromium, page_url  # noqa: F401  # fixtures

LANGUAGES = ("de", "en")
PLANS = json.loads((Path(__file__).parents[2] / "vectors/bandwidth.json").read_text(encoding="utf-8"))["cases"]
OVERFLOWING = """
return [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map((element) => element.outerHTML.slice(0, 120));
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_refused_and_nothing_fails(browser: Browser, language: str) -> None:  # noqa: F811
    browser.open(f"{language}/")
    browser.run("for (const button of document.querySelectorAll('button')) if (button.id !== 'print') button.click();")
    assert browser.complaints() == []


def test_policy_is_in_force(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    browser.run("document.body.setAttribute('style', 'color: red');")
    browser.run("const script = document.createElement('script'); script.text = '1'; document.head.append(script);")
    browser.run("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}));")
    refused = [message for message in browser.complaints() if "Content Security Policy" in message]
    assert len(refused) == 3, refused


@pytest.mark.parametrize("language", LANGUAGES)
def test_browser_reads_the_document_as_it_was_written(browser: Browser, language: str) -> None:  # noqa: F811
    """Had an element been nested where none may be, the parser would have moved it."""
    browser.open(f"{language}/", scripts=False)
    seen = browser.devtools("DOM.getDocument", depth=-1)["root"]
    source = browser.source(f"{language}/")
    assert elements(seen) == [str(etree.QName(one).localname) for one in etree.fromstring(source.encode()).iter("*")]


def elements(node: dict[str, Any]) -> list[str]:
    """Names of a document's elements, in their order."""
    own = [node["localName"]] if node["nodeType"] == 1 else []
    return own + [name for child in node.get("children", []) for name in elements(child)]


# --- Accessible ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_axe_finds_nothing(browser: Browser, language: str, scheme: str) -> None:  # noqa: F811
    browser.open(f"{language}/", scheme=scheme)
    assert browser.accessibility_faults() == []


def test_axe_is_really_asked(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    browser.run("document.querySelector('img.qr').removeAttribute('alt');")
    assert [fault["id"] for fault in browser.accessibility_faults()] == ["image-alt"]


def test_dark_mode_is_dark(browser: Browser) -> None:  # noqa: F811
    luminance = {}
    for scheme in ("light", "dark"):
        browser.open("de/", scheme=scheme)
        colour = browser.run("return getComputedStyle(document.body).backgroundColor;")
        luminance[scheme] = sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3
    assert luminance["light"] > 230
    assert luminance["dark"] < 40


def test_first_key_leads_to_the_content(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    browser.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert browser.run("return document.activeElement.className;") == "skip"
    box = browser.run("return document.activeElement.getBoundingClientRect().toJSON();")
    assert box["width"] > 50
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.run("return location.hash;") == "#main"


@pytest.mark.parametrize("width", [320, 390, 768])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_sticks_out(browser: Browser, language: str, width: int) -> None:  # noqa: F811
    browser.open(f"{language}/", width=width, height=700)
    assert browser.run(OVERFLOWING) == []
    assert browser.run("return document.documentElement.scrollWidth;") == width


# --- What scripts add ----------------------------------------------------------------------------------------------


def test_copy_button_fills_the_clipboard(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    browser.allow_clipboard()
    button = browser.driver.find_element(By.CSS_SELECTOR, "[data-copy=config-string]")
    button.click()
    browser.wait("return document.querySelector('[data-copy=config-string]').classList.contains('done');")
    assert browser.clipboard() == browser.text("config-string")
    assert button.text == "Kopiert"
    assert browser.text("announcement") == "Kopiert"


def test_copy_button_marks_the_text_where_there_is_no_clipboard(browser: Browser) -> None:  # noqa: F811
    browser.open("en/")
    browser.run("Object.defineProperty(navigator, 'clipboard', {value: undefined});")
    browser.driver.find_element(By.CSS_SELECTOR, "[data-copy=config-string]").click()
    browser.wait("return document.querySelector('[data-copy=config-string]').classList.contains('done');")
    assert browser.run("return String(getSelection());") == browser.text("config-string")
    assert browser.text("announcement") == "Selected: now press Ctrl+C"


def test_every_copy_button_has_something_to_copy(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    names = browser.run("return [...document.querySelectorAll('[data-copy]')].map((button) => button.dataset.copy);")
    assert len(names) > 10
    assert all(browser.text(name).strip() for name in names)


@pytest.mark.parametrize("case", PLANS, ids=lambda case: case["name"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_planner_reckons_as_the_filter_does(browser: Browser, language: str, case: dict[str, Any]) -> None:  # noqa: F811
    browser.open(f"{language}/")
    browser.fill("planner-screen", str(case["kilobytes_per_second"]))
    browser.fill("planner-sessions", str(case["sessions"]))
    plan = case["plan"]
    need, low, high = (plan[f"kilobytes_per_second{end}"] / 1000 for end in ("", "_low", "_high"))
    assert numbers(browser.text("planner-need")) == [need, plan["megabits_per_second"]]
    assert numbers(browser.text("planner-reserve")) == [
        low,
        high,
        plan["megabits_per_second_low"],
        plan["megabits_per_second_high"],
    ]


def numbers(text: str) -> list[float]:
    """Numbers in a sentence, whichever way their decimals are written."""
    return [float(number.replace(",", ".")) for number in re.findall(r"\d+(?:[.,]\d+)?", text)]


def test_planner_begins_with_the_example_of_the_page(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    assert browser.text("planner-need") == "3 MB/s = 24 Mbit/s"
    assert browser.text("planner-reserve") == "3,6–3,9 MB/s = 28,8–31,2 Mbit/s"


@pytest.mark.parametrize("value", ["", "0", "-1", "1.5", "1001"])
def test_planner_refuses_what_plans_nothing(browser: Browser, value: str) -> None:  # noqa: F811
    browser.open("en/")
    browser.fill("planner-sessions", value)
    assert browser.text("planner-fault") == "A whole number from 1 to 1000, please"
    assert browser.text("planner-need") == "–"


def test_checklist_is_remembered(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    browser.driver.find_element(By.CSS_SELECTOR, "label[for=check-dns]").click()
    browser.open("en/")
    assert browser.run("return [...document.querySelectorAll('.checklist :checked')].map((box) => box.id);") == [
        "check-dns"
    ]


def test_without_scripts_everything_else_works(browser: Browser) -> None:  # noqa: F811
    browser.open("de/", scripts=False)
    shown = [button for button in browser.driver.find_elements(By.TAG_NAME, "button") if button.is_displayed()]
    assert shown == []
    assert not browser.driver.find_element(By.ID, "planner").is_displayed()
    for name in ("help", "config-string", "firewall-ufw", "proof-dns", "faq-encryption", "check-ports"):
        assert browser.driver.find_element(By.ID, name).is_displayed(), name
    assert browser.driver.find_element(By.CSS_SELECTOR, "a.button").is_displayed()


# --- Links ---------------------------------------------------------------------------------------------------------


def test_language_switch_keeps_the_place(browser: Browser) -> None:  # noqa: F811
    browser.open("de/#network")
    browser.driver.find_element(By.CSS_SELECTOR, ".languages a[hreflang=en]").click()
    browser.wait("return document.documentElement.lang === 'en' && document.readyState === 'complete';")
    assert browser.driver.current_url == f"{browser.url}/en/#network"


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_page_needs_is_served(browser: Browser, language: str) -> None:  # noqa: F811
    browser.open(f"{language}/")
    loaded = browser.run(
        "return performance.getEntriesByType('resource').map((entry) => [entry.name, entry.responseStatus]);"
    )
    assert {url.split("?")[0].rsplit("/", 1)[1] for url, _status in loaded} >= {"page.css", "page.js", "favicon.svg"}
    assert {status for _url, status in loaded} == {200}
    assert all(url.startswith(f"{browser.url}/assets/") for url, _status in loaded)


# --- Paper ---------------------------------------------------------------------------------------------------------


def test_paper_shows_the_content_and_none_of_the_controls(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    browser.show_as("print")
    hidden = browser.run(
        "return [...document.querySelectorAll('button, nav, #planner')].filter((one) => one.offsetParent !== null).length;"
    )
    assert hidden == 0
    assert browser.driver.find_element(By.ID, "sha256-amd64").is_displayed()
    address = browser.run(
        "return getComputedStyle(document.querySelector('#contact a[href^=\"https://\"]'), '::after').content;"
    )
    assert "https://" in address or "attr(href)" in address


def test_it_prints(browser: Browser) -> None:  # noqa: F811
    browser.open("de/")
    pages = browser.pdf().count(b"/Type /Page\n") + browser.pdf().count(b"/Type /Page ")
    assert 4 <= pages <= 14
