# SPDX-License-Identifier: Apache-2.0
"""Issue 13, 3: the live page in Debian's Chromium, with requests through a real HAProxy. In
SPOE_SCREENSHOTS, if it names a folder, pictures of it are left: light, dark, small, opened, and page.png,
which the README has."""

import os
import re

import grpc
import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from lib import admin
from lib.collector import Collector
from lib.log_proxy import CONTEXT, OtelBothProxy
from lib.origin import Origin
from lib.procs import SpoeHost, wait_until

HAPROXY = os.environ.get("HAPROXY") or "/usr/sbin/haproxy"
TOKEN = "a-token-of-24-characters"
HOSTILE = ['/<script>document.title="owned"</script>', '/"><img/src=x/onerror="document.title=1">', "/'-alert(1)-'"]
WAYS = [("    default_backend web-app", """    http-request deny if { path /deny }
    http-request redirect location /elsewhere if { path /redirect }
    use_backend none if { path /none }
    default_backend web-app

backend none from traced-backend
    server none 127.0.0.1:1 disabled
""")]
UNSAMPLED = "00-11111111111111111111111111111111-b7ad6b7169203331-00"


@pytest.fixture
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture
def browser(tmp_path):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                     "--hide-scrollbars", f"--user-data-dir={tmp_path}/chromium", "--lang=en"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    driver.set_page_load_timeout(120)
    try:
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    def __init__(self, driver):
        self.driver = driver

    def size(self, width, height, dark=False):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": False})
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})

    def shot(self, name):
        folder = os.environ.get("SPOE_SCREENSHOTS")
        if folder:
            self.driver.save_screenshot(os.path.join(folder, name + ".png"))

    def open(self, host):
        self.driver.get(f"http://{host.admin}/")
        self.wait(lambda: self.text("state") == "ready", "the page to have asked")

    def wait(self, condition, what):
        wait_until(condition, lambda: f"{what}; console: {self.driver.get_log('browser')}", interval=0.1)

    def id(self, name):
        return self.driver.find_element(By.ID, name)

    def text(self, name):
        return self.id(name).text

    def script(self, text, *args):
        return self.driver.execute_script(text, *args)

    def rows(self):
        """Texts of the rows of requests that can be seen, but for what is opened."""
        return self.script("return [...document.querySelectorAll('#rows > tr:not(.detail)')]"
                           ".filter(r => !r.hidden).map(r => [...r.cells].map(c => c.textContent))")

    def overflow(self):
        return self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def complaints(self):
        """What the console says, but of a favicon and of answers that the test asks for (401)."""
        return [entry for entry in self.driver.get_log("browser")
                if entry["level"] in ("SEVERE", "WARNING") and "favicon" not in entry["message"]
                and " 401 " not in entry["message"] and "ERR_CONNECTION_REFUSED" not in entry["message"]]


def begin(collector, **env):
    return SpoeHost(["--log-listen", "udp:127.0.0.1:0"], env={
        "SPOE_ADMIN_ADDR": "127.0.0.1:0", "OTLP_ENDPOINT": collector.endpoint, "SPOE_WORKERS": "2",
        "SPOE_PROCESSING_TIMEOUT": "10s", "BATCH_DELAY": "20ms", "SAMPLER": "parentbased_always_on", **env})


def test_the_page_shows_what_happens(collector, browser, tmp_path):
    with Origin() as origin, begin(collector) as host, \
            OtelBothProxy(HAPROXY, str(tmp_path), origin.address, host, WAYS) as proxy:
        browser.size(1280, 900)
        browser.open(host)
        assert browser.driver.title == "spoe-host: ready"
        browser.id("start").click()
        browser.wait(lambda: browser.id("on").is_displayed(), "the list")
        assert browser.text("none") and browser.rows() == []
        usual = ["/cart?id=7&token=abc", "/deny", "/redirect", "/none", "/status/404", "/status/500", "/slow"]
        for path in usual:
            proxy.get(path, traceparent=CONTEXT)
        proxy.get("/unsampled", traceparent=UNSAMPLED)
        browser.wait(lambda: len(browser.rows()) == len(usual) + 1, "all requests")
        browser.wait(lambda: "works" in browser.text("exporter"), "the export")
        browser.size(1280, 1160)
        browser.driver.find_element(By.XPATH, "//button[contains(., '/slow')]").click()
        browser.shot("page")
        browser.driver.find_element(By.XPATH, "//button[contains(., '/slow')]").click()
        browser.size(1280, 900)
        for path in HOSTILE:
            proxy.get(path, traceparent=CONTEXT)
        browser.wait(lambda: len(browser.rows()) == len(usual) + 1 + len(HOSTILE), "all requests")
        rows = {row[1]: row for row in browser.rows()}

        # What strangers wrote is text, and the query is redacted.
        for path in HOSTILE:
            assert f"GET {path}" in rows, rows.keys()
        assert browser.script("return document.querySelectorAll('main script, main img').length") == 0
        assert browser.driver.title == "spoe-host: ready"
        assert "GET /cart?id=REDACTED&token=REDACTED" in rows and "abc" not in browser.driver.page_source
        by_path = {path: next(row for name, row in rows.items() if name.split(" ")[1].split("?")[0] == path)
                   for path in ("/cart", "/deny", "/redirect", "/none", "/slow", "/status/404", "/status/500", "/unsampled")}
        assert [by_path[path][2] for path in by_path] == ["200", "403", "302", "503", "200", "404", "500", "200"]
        assert by_path["/deny"][7] == "PR" and by_path["/none"][7] == "SC"
        assert float(by_path["/slow"][3]) >= 300 and by_path["/cart"][4] == "127.0.0.1"

        # By keyboard: Enter opens, up and down go on, Escape closes.
        button = browser.driver.find_element(By.XPATH, "//button[contains(., '/slow')]")
        button.send_keys(Keys.ENTER)
        detail = browser.driver.find_element(By.CSS_SELECTOR, "#rows > .detail")
        assert ", sampled, to be exported" in detail.text, detail.text
        for text in ("SERVER", "CLIENT", "queue", "connect", "response", "transfer", "haproxy.time.response", "url.path"):
            assert text in detail.text, detail.text
        assert button.get_attribute("aria-expanded") == "true"
        bars = browser.script("return [...document.querySelectorAll('.track i')].map(i => [i.offsetLeft, "
                              "i.offsetWidth, i.parentElement.offsetWidth])")
        assert len(bars) == 6 and all(0 <= left and left + width <= whole + 3 for left, width, whole in bars), bars
        browser.script("document.querySelector('#h-requests').scrollIntoView()")
        browser.shot("live-page-open")
        browser.script("window.scrollTo(0, 0)")
        browser.shot("live-page-light")
        browser.size(1280, 900, dark=True)
        browser.shot("live-page-dark")
        browser.size(360, 740)
        assert browser.overflow() <= 0, "nothing is wider than a small screen"
        browser.shot("live-page-small-top")
        browser.script("document.querySelector('#h-requests').scrollIntoView()")
        browser.shot("live-page-small")
        browser.size(360, 740, dark=True)
        browser.script("document.querySelector('.detail').scrollIntoView()")
        browser.shot("live-page-small-open")
        browser.size(1280, 900)
        button.send_keys(Keys.ARROW_DOWN)
        assert "/slow" not in browser.driver.switch_to.active_element.text
        browser.driver.switch_to.active_element.send_keys(Keys.ARROW_UP)
        assert "/slow" in browser.driver.switch_to.active_element.text
        button.send_keys(Keys.ESCAPE)
        assert not browser.driver.find_elements(By.CSS_SELECTOR, "#rows > .detail")

        # Filters.
        Select(browser.id("f-status")).select_by_value("5")
        browser.wait(lambda: sorted(row[2] for row in browser.rows()) == ["500", "503"], f"5xx alone, {browser.rows()}")
        Select(browser.id("f-status")).select_by_value("")
        browser.id("f-ms").send_keys("290")
        browser.wait(lambda: all(float(row[3].replace(",", "")) >= 290 for row in browser.rows()), "the slow ones alone")
        assert any("/slow" in row[1] for row in browser.rows())
        browser.id("f-ms").clear()
        browser.id("f-text").send_keys("haproxy.termination_state=PR")
        browser.wait(lambda: [row[1] for row in browser.rows()] == ["GET /deny"], "what is denied alone")
        assert browser.text("count").startswith("1 of ")
        browser.id("f-text").clear()
        browser.id("f-text").send_keys(Keys.SPACE)

        # Counters.
        browser.wait(lambda: re.search(r"log lines\s+[\d.]+\s+\d+", browser.text("messages")), "lines per second")
        assert re.search(r"otel: on-http-request", browser.text("messages"))
        assert "127.0.0.1" in browser.text("connections") and "otel" in browser.text("plugins")
        browser.wait(lambda: re.search(r"^traces .* 0$", browser.text("export")), "the export")
        browser.wait(lambda: f"traces to {collector.endpoint}: works" in browser.text("exporter"), "that it works")
        assert browser.script("return document.querySelectorAll('a[href=requests]').length") == 1
        collector.refuse(grpc.StatusCode.PERMISSION_DENIED, times=1000, details="not you")
        proxy.get("/refused")
        browser.wait(lambda: re.fullmatch(r"traces lost: \d not_retryable", browser.text("losses")), "what is lost, by reason")
        browser.wait(lambda: re.search(r"refused; last error \d\d:\d\d:\d\d UTC: .*not you", browser.text("exporter")),
                     "the last error")
        assert browser.complaints() == []

        # The host goes away: the page says so.
        assert host.terminate() == 0, host.report()
        browser.wait(lambda: browser.id("gone").is_displayed(), "the page to notice")
        assert "has not answered since" in browser.text("gone") and browser.text("state") == "no answer"
        browser.shot("live-page-gone")


def histogram(first, second, last, label="a"):
    return "".join(f'h_bucket{{m="{label}",le="{le}"}} {n}\n'
                   for le, n in (("0.001", first), ("0.01", second), ("+Inf", last)))


def test_latency(collector, browser, tmp_path):
    """What the page says of handlers' time: the quantiles of a histogram's growth, and that they come to be there."""
    quantiles = """
        const kept = [...past], text = arguments;
        past.length = 0;
        past.push({at: 0, families: parseMetrics(text[0])}, {at: 1000, families: parseMetrics(text[1])});
        const ret = [0.5, 0.99].map((q) => seconds(quantile("h", {m: "a"}, q)));
        past.splice(0, past.length, ...kept);
        return ret;"""
    other = histogram(0, 0, 1000, "b")
    with Origin() as origin, begin(collector) as host, \
            OtelBothProxy(HAPROXY, str(tmp_path), origin.address, host, WAYS) as proxy:
        browser.open(host)
        for before, after, expected in (
                (histogram(10, 10, 10), histogram(60, 110, 110), ["1.0 ms", "9.8 ms"]),
                (histogram(0, 0, 0), histogram(100, 100, 100), ["500 µs", "990 µs"]),
                (histogram(5, 5, 5), histogram(5, 5, 6), ["10.0 ms", "10.0 ms"]),  # beyond the last boundary
                (histogram(5, 5, 5), histogram(5, 5, 5), ["", ""])):  # nothing in the window
            assert browser.script(quantiles, before + other, after + other) == expected
        for _ in range(40):  # one in 16 is timed
            proxy.get("/timed", traceparent=CONTEXT)
        browser.wait(lambda: re.search(r"^otel: on-http-request [\d.,]+ [\d,]+ [\d.]+ (µs|ms|s) [\d.]+ (µs|ms|s) 0 0$",
                                       browser.text("messages"), re.M), f"latency: {browser.text('messages')}")
        assert browser.complaints() == []


def test_what_keeps_a_page_from_asking(collector, browser):
    """It stops while it cannot be seen, and goes on when it can again."""
    with begin(collector) as host:
        browser.open(host)
        browser.script("Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
                       "window.asked = 0; const real = window.fetch;"
                       "window.fetch = (...all) => { window.asked++; return real(...all); };"
                       "document.dispatchEvent(new Event('visibilitychange'))")
        # Whatever was under way comes to its end; a clock of the page's own goes on meanwhile.
        browser.script("window.turns = 0; window.clock = setInterval(() => window.turns++, 100)")
        browser.wait(lambda: browser.script("return window.turns") > 20, "the page's clock")
        before = browser.script("window.turns = 0; return window.asked")
        browser.wait(lambda: browser.script("return window.turns") > 30, "the page's clock")
        assert browser.script("return window.asked") == before
        browser.script("Object.defineProperty(document, 'hidden', {value: false, configurable: true});"
                       "document.dispatchEvent(new Event('visibilitychange'))")
        browser.wait(lambda: browser.script("return window.asked") > before, "the page to go on")


def test_the_token(collector, browser, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    with begin(collector, SPOE_ADMIN_TOKEN_FILE=str(token)) as host:
        browser.size(1000, 800)
        browser.open(host)
        browser.id("start").click()
        browser.wait(lambda: browser.id("ask").is_displayed(), "the page to ask for the token")
        assert browser.id("token").get_attribute("type") == "password"
        browser.id("token").send_keys("wrong-token-of-24-chars" + Keys.ENTER)
        browser.wait(lambda: "not the one" in browser.text("why"), "the page to refuse it")
        assert browser.script("return sessionStorage.getItem('token')") is None
        browser.shot("live-page-token")
        browser.id("token").send_keys(TOKEN + Keys.ENTER)
        browser.wait(lambda: browser.id("on").is_displayed(), "the list")
        assert TOKEN not in browser.driver.current_url and TOKEN not in browser.driver.page_source
        browser.driver.refresh()  # it stays in the tab
        browser.wait(lambda: browser.text("state") == "ready", "the page to have asked")
        browser.id("start").click()
        browser.wait(lambda: browser.id("on").is_displayed(), "the list")
        assert browser.complaints() == []
        assert TOKEN not in host.text()


def test_where_requests_are_not_to_be_had(collector, browser):
    """Behind a proxy that says so, without a token: counters alone."""
    with begin(collector) as host:
        browser.driver.execute_cdp_cmd("Network.enable", {})
        browser.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {"X-Forwarded-For": "192.0.2.1"}})
        browser.open(host)
        browser.id("start").click()
        browser.wait(lambda: "admin-token-file" in browser.text("why"), "the reason")
        assert not browser.id("ask").is_displayed() and not browser.id("on").is_displayed()
        assert "otel" in browser.text("plugins")
        assert not admin.page(host, "/requests")["on"]
