"""Chromium against a real server. Every page of every test is also watched: no policy violation, no script error, nothing fetched from elsewhere.

With LECTERN_URL (and LECTERN_ADMIN_LINK for the admin page) a running server is used; it must offer the workshop `page-tour`
beside this file. Without it the tests start a server of their own, as Tests/System does.
"""

import os
import pathlib
import shutil
import sys
from urllib.parse import urlparse

import pytest
from playwright.sync_api import expect, sync_playwright

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "System"))

CHROMIUM = os.environ.get("LECTERN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
WORKSHOP = "page-tour"
expect.set_options(timeout=15_000)


class Site:
    def __init__(self, url, admin_link):
        self.url = url.rstrip("/")
        self.admin_link = admin_link

    @property
    def lesson(self):
        return f"{self.url}/w/{WORKSHOP}"


@pytest.fixture(scope="session")
def site():
    if os.environ.get("LECTERN_URL"):
        link = os.environ.get("LECTERN_ADMIN_LINK")
        yield Site(os.environ["LECTERN_URL"], lambda: link)
        return
    from lectern import Server, traces

    server = Server("caps:\n  labsPerPerson: 4\n", workshops=HERE / "workshops")
    server.start()
    yield Site(server.url, lambda: server.command("admin", "login-link").stdout.strip().splitlines()[-1])
    server.destroy()
    assert traces(server) == []


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Watch:
    """What a page must not do."""

    def __init__(self, site):
        self.own = urlparse(site.url).netloc
        self.port = urlparse(site.url).port
        self.faults = []
        self.allowed = []

    def follow(self, page):
        page.on("console", self.console)
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("request", self.request)

    def console(self, message):
        if "409" in message.text and message.location.get("url", "").endswith("/ports"):
            return  # asked just when the node went: the answer is right, and the browser notes it
        if message.type == "error" and not any(part in message.text for part in self.allowed):
            self.faults.append(f"console: {message.text} {message.location.get('url', '')}")

    def request(self, request):
        place = urlparse(request.url)
        if place.scheme in ("data", "blob", "about"):
            return
        own = place.netloc == self.own or (place.port == self.port and place.hostname.endswith(".localhost"))
        if not own:
            self.faults.append(f"fetched from elsewhere: {request.url}")


@pytest.fixture
def watch(site):
    watch = Watch(site)
    yield watch
    assert watch.faults == []


@pytest.fixture
def visitor(browser, site, watch):
    """Makes pages of one fresh visitor; a lab they leave behind is ended."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(15_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    context.add_init_script("try { localStorage.getItem('lectern.coached') ?? localStorage.setItem('lectern.coached', 'true') } catch {}")
    context.on("page", watch.follow)
    yield context
    for page in context.pages:
        page.close()
    end_labs(context, site)
    context.close()


def end_labs(context, site):
    answer = context.request.get(f"{site.url}/api/v1/labs")
    if not answer.ok:
        return
    token = next((cookie["value"] for cookie in context.cookies() if cookie["name"] == "lectern_csrf"), "")
    for lab in answer.json()["labs"]:
        if lab["state"] not in ("ended", "ending"):
            context.request.delete(f"{site.url}/api/v1/labs/{lab['id']}", headers={"X-Lectern-CSRF": token, "Origin": site.url})


@pytest.fixture
def page(visitor):
    return visitor.new_page()


@pytest.fixture
def lesson(page, site):
    """The lesson with a lab that runs: both terminals show a prompt."""
    page.goto(site.lesson)
    page.get_by_role("button", name="Start the lab", exact=True).click()
    ready(page)
    return page


def ready(page, count=2):
    expect(page.locator("lectern-terminal[data-link=live]")).to_have_count(count)
    for index in range(count):
        wait_screen(page, index, r"[#$] *$")


def terminal(page, index=0):
    return page.locator("lectern-terminal").nth(index)


def screen(page, index=0):
    return terminal(page, index).evaluate("view => view.allText().trimEnd()")


def wait_screen(page, index, pattern):
    page.wait_for_function(
        "([index, pattern]) => new RegExp(pattern, 'm').test(document.querySelectorAll('lectern-terminal')[index]?.allText().trimEnd() ?? '')",
        arg=[index, pattern],
    )


def block(page, text):
    return page.locator("lectern-block", has_text=text)


def run(page, text, state="done"):
    found = block(page, text)
    found.locator(".run").click()
    expect(found).to_have_attribute("state", state)
    return found
