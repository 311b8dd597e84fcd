"""Opens a report in headless Chromium and uses it as a reader would; prints what it saw as one JSON object.

    drive_report.py CHROMIUM DRIVER REPORT [SCREENSHOTS]

Every width and colour scheme is opened anew: no console message, nothing wider than the window, pictures visible, the slider
moves the numbers to what report.json says of that policy.
"""

import json
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

# Elements that stick out of the window and do not lie in one that scrolls by itself.
OVERFLOW = """
const wide = document.documentElement.clientWidth;
const scrolls = (e) => e && e !== document.body
  && (["auto", "scroll"].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
return [...document.body.querySelectorAll("*")]
  .filter((e) => !e.closest(".definitions") && e.getBoundingClientRect().right > wide + 0.5 && !scrolls(e.parentElement))
  .map((e) => e.tagName + "." + (e.getAttribute("class") ?? "") + ": " + e.textContent.slice(0, 40))
  .concat(document.documentElement.scrollWidth > wide ? ["the page is " + document.documentElement.scrollWidth] : []);
"""


def browser(chromium, driver, width, height):
    options = Options()
    options.binary_location = chromium
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]:
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(driver), options=options)


def fields(page):
    return {e.get_attribute("data-field"): e.text for e in page.find_elements(By.CSS_SELECTOR, "[data-field]")}


def expected(path, policy):
    """What report.json says of a policy, written as the page writes it."""
    told = {}
    for split in ["tune", "test"]:
        counts = path[split]
        samples = counts["samples"]
        gap = 100 * ((counts["harmfulFlips"][policy] - counts["helpfulFlips"][policy]) / samples)
        told[f"{split}.error"] = f"{100 * (counts['errors'][policy] / samples):.2f} %"
        told[f"{split}.gap"] = f"{'-' if gap < 0 else '+'}{abs(gap):.2f}"
        told[f"{split}.harmful"] = str(counts["harmfulFlips"][policy])
        told[f"{split}.helpful"] = str(counts["helpfulFlips"][policy])
        told[f"{split}.speed-up"] = f"{counts['speedUps'][policy]:.2f}x"
    for exit, released in enumerate(path["test"]["released"][policy]):
        told[f"share.{exit}"] = f"{100 * (released / path['test']['samples']):.2f} %"
    return told


def look(page, address, width, height, scheme, path, screenshots):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    page.get(address)
    saw = {"width": width, "scheme": scheme}
    saw["overflow"] = page.execute_script(OVERFLOW)
    saw["background"] = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    saw["ink"] = page.execute_script(
        "return getComputedStyle(document.querySelector('figure svg text')).fill")
    saw["pictures"] = page.execute_script(
        "return [...document.querySelectorAll('figure svg')].filter((e) => e.getBoundingClientRect().width > 100).length")
    saw["smallestType"] = page.execute_script(
        "return Math.min(...[...document.querySelectorAll('figure svg text')].map((e) =>"
        " parseFloat(getComputedStyle(e).fontSize) * e.ownerSVGElement.getBoundingClientRect().width"
        " / e.ownerSVGElement.viewBox.baseVal.width))")
    if path is not None:
        slider = page.find_element(By.ID, "explorer-slider")
        last = len(path["shifts"]) - 1
        start = path.get("chosen", 0)
        steps = [(start, None), (start + 1, Keys.ARROW_RIGHT), (last, Keys.END), (0, Keys.HOME)]
        saw["wrong"] = []
        rings = set()
        for policy, key in steps:
            if key:
                slider.send_keys(key)
            shown = fields(page)
            saw["wrong"] += [
                f"policy {policy}, {name}: {shown[name]} instead of {value}"
                for name, value in expected(path, min(policy, last)).items() if shown[name] != value]
            rings.add(page.execute_script("return document.querySelector('#frontier-test .mark')?.getAttribute('cx')"))
            is_chosen = policy == path.get("chosen")
            if ("certified policy" in shown["note"]) != is_chosen or ("not a certificate" in shown["note"]) == is_chosen:
                saw["wrong"].append(f"policy {policy} is called: {shown['note']}")
        saw["rings"] = len(rings)
        reset = page.find_elements(By.ID, "explorer-reset")
        if reset:
            reset[0].click()
            if fields(page)["test.error"] != expected(path, start)["test.error"]:
                saw["wrong"].append("the button does not lead back")
    saw["console"] = [entry["message"] for entry in page.get_log("browser")]
    if screenshots:
        height = page.execute_script("return document.documentElement.scrollHeight")
        page.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        page.save_screenshot(str(pathlib.Path(screenshots) / f"{width}-{scheme}.png"))
    return saw


def main():
    chromium, driver, report = sys.argv[1:4]
    screenshots = sys.argv[4] if len(sys.argv) > 4 else None
    record = pathlib.Path(report).parent / "report.json"
    has_explorer = pathlib.Path(report).name == "report.html"
    path = json.loads(record.read_text())["path"] if has_explorer else None
    page = browser(chromium, driver, 1280, 900)
    try:
        address = pathlib.Path(report).resolve().as_uri()
        views = [
            look(page, address, width, height, scheme, path, screenshots)
            for width, height in [(1280, 900), (390, 844)] for scheme in ["light", "dark"]]
    finally:
        page.quit()
    print(json.dumps({"views": views}))


main()
