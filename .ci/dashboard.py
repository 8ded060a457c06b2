"""What .ci/dashboard looks at. Each function is a story; all of them share one service."""

import json
import random
import sys
import time
import urllib.error
import urllib.request
import uuid

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

ADMIN, DECISIONS, TOKEN, AXE, PICTURES = sys.argv[1:6]
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><b>IVR</b>"
DESKTOP, PHONE = (1280, 900), (390, 844)
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
passed = 0


def ask(method, path, body=None, base=ADMIN):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "If-Match": "*"}
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(base + path, data, headers, method=method)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method} {path}: {error.read().decode()}") from None


def change(environment, command, **members):
    return ask("POST", f"/v1/environments/{environment}/{command}", {"reason": "a check in a browser", **members})


def call(environment, outcomes=None):
    """A call, and how it ends if somebody asks: a function from its slot to whether the caller hangs up."""
    conversation = str(uuid.uuid4())
    slot = ask("POST", f"/v1/environments/{environment}/decisions", {"Conversation_ID": conversation}, DECISIONS)["Slot"]
    if outcomes:
        end = {"Conversation_ID": conversation, "Abandon": outcomes(slot)}
        ask("POST", f"/v1/environments/{environment}/outcomes", end, DECISIONS)
    return slot


class Browser:
    """A window of Chromium, with nothing kept from another."""

    def __init__(self, size=DESKTOP, theme="light", scripts=True):
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        if not scripts:
            options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size == PHONE},
        )
        self.theme(theme)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.driver.quit()

    def theme(self, theme):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, path):
        self.driver.get(ADMIN + path)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self):
        return self.find("main").text

    def until(self, what, condition, seconds=15):
        # A page that is just being replaced by the next can be asked nothing.
        wait = WebDriverWait(self.driver, seconds, 0.05, ignored_exceptions=[WebDriverException])
        return wait.until(lambda _: condition(), f"waited for {what}")

    def until_says(self, words):
        self.until(words, lambda: words in self.text())

    def sign_in(self, path="/dashboard"):
        self.open(path)
        self.find("#token").send_keys(TOKEN, Keys.ENTER)
        self.until("the page", lambda: self.find(".leave button") and self.driver.current_url == ADMIN + path)

    def press(self, *keys):
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, selector):
        """Goes there as somebody without a mouse does; what has the focus can be seen to have it."""
        target = self.find(selector)
        for _ in range(60):
            self.press(Keys.TAB)
            if self.driver.switch_to.active_element == target:
                style = self.driver.execute_script("return getComputedStyle(document.activeElement).outlineStyle")
                assert style != "none", f"the focus cannot be seen on {selector}"
                return
        raise AssertionError(f"no way to {selector} by the keyboard")

    def picture(self, name, down_to=None):
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        height = size["height"]
        if down_to:
            place = self.find(down_to).rect
            height = min(height, place["y"] + place["height"] + 8)
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height, 6000), "scale": 1}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
        import base64

        with open(f"{PICTURES}/{name}.png", "wb") as file:
            file.write(base64.b64decode(taken["data"]))

    def check(self, name):
        """Nothing that axe-core knows of, nothing too wide, nothing in the console; and a picture."""
        self.picture(name)
        # The policy of the page lets nobody add a script, so this one is run by the driver, beside the page.
        found = self.driver.execute_cdp_cmd("Page.createIsolatedWorld", {"frameId": self.frame()})
        world = {"contextId": found["executionContextId"], "awaitPromise": True, "returnByValue": True}
        with open(AXE, encoding="utf-8") as axe:
            self.evaluate(axe.read() + "; undefined", world)
        run = "axe.run({runOnly: %s}).then(r => r.violations.map(v => [v.id, v.help, v.nodes.map(n => n.html + n.failureSummary)]))"
        violations = self.evaluate(run % json.dumps(AA), world)
        assert not violations, f"{name}: {json.dumps(violations, indent=1)}"
        widths = self.driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], f"{name} is wider than its window: {widths}"

    def frame(self):
        return self.driver.execute_cdp_cmd("Page.getFrameTree", {})["frameTree"]["frame"]["id"]

    def evaluate(self, expression, world):
        answer = self.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": expression, **world})
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def assert_quiet(self):
        lines = [line for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]
        assert not lines, lines


def story(function):
    global passed
    started = time.monotonic()
    function()
    passed += 1
    print(f"dashboard: {function.__doc__} ({time.monotonic() - started:.1f} s)", flush=True)


def prepare():
    """an environment with calls, one with a rollout and evidence, one that is frozen and claimed"""
    def flows(name):
        return {slot: {"id": str(uuid.uuid4()), "name": f"{name} {slot}"} for slot in ("blue", "green")}

    for name in ("Sales_IVR", "Service_IVR", "Night_IVR"):
        body = {"reason": "a check in a browser", "flows": flows(name), "flow_version": "1.0"}
        if name == "Night_IVR":
            body["flows"]["blue"]["name"] = HOSTILE
        ask("PUT", f"/v1/environments/{name}", body)
    for name in ("Sales_IVR", "Service_IVR"):
        change(name, "register", flow_version="2.0")
    change("Night_IVR", "claim", flow_version="2.0", expires_in_minutes=60)
    ask("POST", "/v1/environments/Night_IVR/freezes", {"end": "2099-12-27T00:00:00Z", "reason": "Christmas"})
    change("Sales_IVR", "weight", weight=10)
    draw = random.Random(4711)
    plan = {
        "steps": [{"weight": 5}, {"weight": 50, "bake_minutes": 30}, {"weight": 75, "gate": "manual"}, {"weight": 100}],
        "data": {"horizon_minutes": 1, "grace_minutes": 0},
        "fast_lane": {"within_seconds": 1, "grace_seconds": 1},
    }
    change("Service_IVR", "rollout", plan=plan)
    change("Service_IVR", "rollout/promote", when="now")
    for _ in range(300):
        call("Sales_IVR")
    for _ in range(240):
        call("Service_IVR", lambda slot: draw.random() < (0.08 if slot == "blue" else 0.12))


def signing_in():
    """signing in, with a wrong token and with a good one"""
    with Browser() as browser:
        browser.open("/dashboard/environments/Sales_IVR")
        browser.check("login")
        browser.find("#token").send_keys("tc_guess", Keys.ENTER)
        browser.until_says("This is no valid token")
        browser.check("login-refused")
        browser.find("#token").send_keys(TOKEN, Keys.ENTER)
        browser.until_says("The way back")
        assert browser.driver.current_url.endswith("/environments/Sales_IVR"), browser.driver.current_url
        cookie = browser.driver.get_cookies()
        assert [c["httpOnly"] and c["sameSite"] == "Strict" for c in cookie] == [True], cookie
        assert browser.driver.execute_script("return document.cookie") == ""
        browser.find(".leave button").click()
        browser.until_says("Sign in")
        browser.open("/dashboard")
        browser.until_says("Sign in")


def a_cutover_arrives():
    """a cutover that somebody else makes arrives in open pages, and what is typed stays"""
    with Browser() as browser, Browser() as other:
        browser.sign_in("/dashboard/environments/Sales_IVR")
        browser.until("a live page", lambda: "live" in browser.find("#connection").text)
        other.sign_in()
        reason = browser.find("#reason-rollback")
        reason.send_keys("half a reas")
        started = time.monotonic()
        change("Sales_IVR", "cutover")
        browser.until_says("active: blue → green")
        other.until("the overview", lambda: "set 100 %" in other.text() and "since" in other.text())
        took = time.monotonic() - started
        assert "green 100 %" in browser.driver.title, browser.driver.title
        assert reason.get_attribute("value") == "half a reas"
        assert browser.driver.switch_to.active_element == reason
        assert browser.find("#forms-older").is_displayed()
        print(f"dashboard: both pages showed it within {took:.2f} s of its request")
        browser.assert_quiet()
        other.assert_quiet()


def a_rollback():
    """a rollback with a reason, and its receipt; without one the browser asks for it"""
    with Browser() as browser:
        browser.sign_in("/dashboard/environments/Sales_IVR")
        browser.find("#form-rollback button").click()
        assert browser.driver.current_url.endswith("Sales_IVR"), "a form without a reason was sent"
        browser.find("#reason-rollback").send_keys("2.0 is not good")
        browser.find("#form-rollback button").click()
        browser.until_says("Done: roll back")
        assert browser.driver.switch_to.active_element == browser.find("#outcome")
        assert "Every live replica decides by it." in browser.text() and "has it, within" in browser.text()
        browser.check("rollback")
        browser.assert_quiet()
    state = ask("GET", "/v1/environments/Sales_IVR")
    assert state["active"] == "blue", state


def a_refusal():
    """a refusal is told, and what was typed stands there still"""
    with Browser() as browser:
        browser.sign_in("/dashboard/environments/Night_IVR")
        browser.find("#weight-weight").clear()
        browser.find("#weight-weight").send_keys("5")
        browser.find("#reason-weight").send_keys("canary")
        browser.find("#form-weight button").click()
        browser.until_says("Not done: set the weight")
        assert browser.find("#reason-weight").get_attribute("value") == "canary"
        browser.check("refusal")


def hostile_names():
    """a hostile flow name is text"""
    with Browser() as browser:
        browser.sign_in("/dashboard/environments/Night_IVR")
        assert HOSTILE in browser.text(), browser.text()
        assert "Night_IVR" in browser.driver.title
        assert not browser.driver.find_elements(By.CSS_SELECTOR, "main img, main b")


def by_keyboard():
    """everything by the keyboard: sign in, go to an environment, set a weight, sign out"""
    with Browser() as browser:
        browser.open("/dashboard")
        browser.tab_to("#token")
        browser.press(TOKEN, Keys.ENTER)
        browser.until_says("What callers get")
        browser.tab_to("#to-Sales_IVR")
        browser.press(Keys.ENTER)
        browser.until_says("The way back")
        browser.tab_to(".skip")
        browser.press(Keys.ENTER)
        browser.tab_to("#weight-weight")
        browser.press(Keys.BACKSPACE * 6, "12,5", Keys.TAB, "by the keyboard", Keys.ENTER)
        browser.until_says("Done: set the weight")
        browser.tab_to(".leave button")
        browser.press(Keys.ENTER)
        browser.until_says("Sign in")
    assert ask("GET", "/v1/environments/Sales_IVR")["weight"] == 12.5


def without_scripts():
    """without scripts: sign in, look, roll back"""
    with Browser(scripts=False) as browser:
        browser.sign_in("/dashboard/environments/Sales_IVR")
        assert "What callers get" in browser.text()
        browser.find("#reason-rollback").send_keys("without scripts")
        browser.find("#form-rollback button").click()
        browser.until_says("Done: roll back")


def a_rollout_appears():
    """a rollout that starts after a form was sent appears by itself, and so does its end"""
    with Browser() as browser:
        browser.sign_in("/dashboard/environments/Sales_IVR")
        browser.find("#weight-weight").clear()
        browser.find("#weight-weight").send_keys("3")
        browser.find("#reason-weight").send_keys("before a rollout")
        browser.find("#form-weight button").click()
        browser.until_says("Done: set the weight")
        browser.until("a live page", lambda: "live" in browser.find("#connection").text)
        assert not browser.driver.find_elements(By.ID, "rollout-title")
        change("Sales_IVR", "rollout", plan={"steps": [{"weight": 5}, {"weight": 100}]})
        browser.until("the rollout", lambda: "step 1 of 2" in browser.find("#rollout").text)
        assert "Done: set the weight" in browser.text(), "what became of the form is told still"
        change("Sales_IVR", "rollout/abort")
        browser.until("its end", lambda: "aborted" in browser.find("#rollout").text)
        browser.assert_quiet()


def pictures():
    """every page at two widths, light and dark"""
    change("Sales_IVR", "weight", weight=10)
    for _ in range(400):
        call("Sales_IVR")
    pages = {
        "overview": "/dashboard",
        "weighted": "/dashboard/environments/Sales_IVR",
        "rollout": "/dashboard/environments/Service_IVR",
        "frozen": "/dashboard/environments/Night_IVR",
        "history": "/dashboard/environments/Sales_IVR/history",
        "missing": "/dashboard/environments/Nowhere",
    }
    for width, size in ("desktop", DESKTOP), ("phone", PHONE):
        with Browser(size) as browser:
            browser.sign_in()
            for theme in "light", "dark":
                browser.theme(theme)
                for name, path in pages.items():
                    browser.open(path)
                    if name == "rollout":
                        browser.until_says("Evidence")
                    browser.check(f"{name}-{width}-{theme}")
            touch = "return [...document.querySelectorAll('button')].map(b => b.getBoundingClientRect().height)"
            browser.open(pages["weighted"])
            assert min(browser.driver.execute_script(touch)) >= 32, "too small for a finger"


def a_picture_for_the_readme():
    """a rollout whose calls have matured, as the README shows it"""
    with Browser() as browser:
        browser.sign_in("/dashboard/environments/Service_IVR")
        browser.until("a live page", lambda: "live" in browser.find("#connection").text)
        # A minute after they were decided.
        browser.until("evidence", lambda: " 0 of 50 matured" not in browser.find("#rollout").text, 90)
        browser.picture("readme", down_to="#rollout")


for each in (
    prepare,
    signing_in,
    a_cutover_arrives,
    a_rollback,
    a_refusal,
    hostile_names,
    by_keyboard,
    without_scripts,
    a_rollout_appears,
    pictures,
    a_picture_for_the_readme,
):
    story(each)
print(f"dashboard: {passed} passed, 0 failed")
