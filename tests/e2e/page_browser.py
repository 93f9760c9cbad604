"""Debian's Chromium, headless, driven by Debian's python3-selenium; and what one does on the page with it.

Packages: chromium chromium-driver python3-selenium. Without them the tests are skipped, visibly. Selenium belongs to the system's
Python: where the running one does not have it, the program is started again with /usr/bin/python3.
"""

import os
import shutil
import sys
import time

import harness

SYSTEM_PYTHON = "/usr/bin/python3"
PATIENCE_S = 20 * harness.PATIENCE


def needs_browser():
    missing = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    try:
        import selenium  # noqa: F401
    except ImportError:
        if not missing and os.path.exists(SYSTEM_PYTHON) and "QWEN_RESTARTED" not in os.environ:
            os.execve(SYSTEM_PYTHON, [SYSTEM_PYTHON, "-B", *sys.argv], {**os.environ, "QWEN_RESTARTED": "1"})
        missing.append("python3-selenium")
    if missing:
        print(f"SKIP: {', '.join(missing)} absent (apt-get install chromium chromium-driver python3-selenium)")
        sys.exit(harness.SKIPPED_STATUS)


class Browser:
    def __init__(self, language="en-US"):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1280,900"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"intl.accept_languages": language})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        self.driver.set_script_timeout(PATIENCE_S)

    def close(self):
        self.driver.quit()

    def open(self, address):
        self.driver.get(address)
        self.wait(lambda: self.all(".badge[data-state=healthy]"), "the page to find the service healthy")

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                    {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        """The last element that matches: with several exchanges on the page, the newest."""
        found = self.all(selector)
        if not found:
            raise AssertionError(f"there is no {selector}")
        return found[-1]

    def text(self, selector):
        return self.one(selector).get_attribute("textContent")

    def js(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def module(self, code, *arguments):
        """Runs `code` as the body of an async function with the page's modules in reach; returns its result."""
        return self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; const args = [...arguments].slice(0, -1);"
            f"(async () => {{ {code} }})().then(done, (error) => done('failed: ' + error.stack));", *arguments)

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if condition():
                return
            time.sleep(0.02)
        raise AssertionError(f"waited in vain for {what}; the page shows: {self.js('return document.body.innerText')}")

    def send(self, text):
        """Types and presses Enter."""
        self.one("#message").send_keys(text + "\n")

    def ask(self, text):
        """Sends and waits for the end of the answer; returns its text."""
        before = len(self.all(".exchange"))
        self.send(text)
        self.wait(lambda: len(self.all(".exchange")) == before + 1, "the question to be taken")
        self.wait_for_state("done")
        return self.text(".exchange:last-of-type .answer")

    def state(self):
        return self.one(".exchange").get_attribute("data-state")

    def wait_for_state(self, *states):
        self.wait(lambda: self.state() in states, f"state {' or '.join(states)}")

    def complaints(self):
        """Errors in the console since the last call; a broken content security policy is one of them."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
