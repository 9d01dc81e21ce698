"""The page around the lab: memory, contents, keyboard, sizes, colours, weight."""

import re

import pytest
from playwright.sync_api import expect

from conftest import block, ready, run, screen, terminal, wait_screen


def test_progress_is_remembered(lesson, site):
    run(lesson, "hostname")
    lesson.get_by_role("button", name="Contents").click()
    lesson.get_by_role("navigation", name="Contents").get_by_role("link", name=re.compile("A question")).click()
    expect(lesson.locator("#where")).to_have_text("A question")
    lesson.get_by_role("radio", name="0").check()
    lesson.get_by_role("button", name="Check", exact=True).click()
    expect(lesson.locator("lectern-quiz")).to_contain_text("That is right.")
    lesson.wait_for_timeout(2000)
    lesson.evaluate("() => localStorage.removeItem('lectern.progress.page-tour')")
    lesson.goto("about:blank")
    lesson.goto(site.lesson)
    expect(lesson.locator("#where")).to_have_text("A question")
    expect(lesson.locator("lectern-quiz")).to_contain_text("That is right.")
    expect(block(lesson, "hostname")).to_have_attribute("state", "done")


def test_quiz_tells_right_from_wrong(page, site):
    page.goto(site.lesson)
    quiz = page.locator("lectern-quiz")
    quiz.get_by_role("button", name="Check").click()
    expect(quiz).to_contain_text("Choose an answer first.")
    quiz.get_by_role("radio", name="1").check()
    quiz.get_by_role("button", name="Check").click()
    expect(quiz).to_contain_text("Not yet")
    expect(quiz.locator(".wrong")).to_have_count(1)


def test_by_keyboard_alone(page, site):
    page.goto(site.lesson)
    expect(page.get_by_role("button", name="Start the lab", exact=True)).to_be_visible()
    press_until(page, "Start the lab")
    page.keyboard.press("Enter")
    ready(page)
    page.keyboard.press("F6")
    page.wait_for_function("() => document.activeElement.closest('lectern-terminal')")
    page.keyboard.type("echo by-$((1+1))-hands\n")
    wait_screen(page, 0, "^by-2-hands$")
    page.keyboard.press("F6")
    expect(page.locator("lectern-block .run").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("lectern-block").first).to_have_attribute("state", "done")
    page.locator("#split").focus()
    before = int(page.locator("#split").get_attribute("aria-valuenow"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("#split")).to_have_attribute("aria-valuenow", str(before + 2))
    page.keyboard.press("Enter")
    page.locator("#menu-button").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem", name="End the lab…")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="End the lab", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="This lab has ended")).to_be_visible()


def press_until(page, name, limit=80):
    for _ in range(limit):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.textContent.trim()") == name:
            return
    raise AssertionError(f"Tab does not reach “{name}”")


def test_everything_has_a_name(lesson):
    nameless = lesson.evaluate("""() => [...document.querySelectorAll("button, a[href], input, select, textarea, [role]")]
        .filter(it => it.checkVisibility() && !it.closest("[aria-hidden=true]") && it.getAttribute("role") !== "presentation")
        .filter(it => ["BUTTON", "A", "INPUT", "SELECT", "TEXTAREA"].includes(it.tagName))
        .filter(it => !(it.getAttribute("aria-label") || it.getAttribute("aria-labelledby") || it.labels?.length || it.textContent.trim() || it.title))
        .map(it => it.outerHTML.slice(0, 120))""")
    assert nameless == []


@pytest.mark.parametrize("width,height", [(1440, 900), (1024, 768), (820, 1100), (390, 844)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_fits_every_size(page, site, width, height, theme):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": height})
    for path in ("/", "/w/page-tour"):
        page.goto(site.url + path)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert page.evaluate("() => document.documentElement.dataset.theme") == theme
    if width >= 1440:
        columns = page.evaluate("() => document.querySelector('#lesson > p').clientWidth")
        assert 480 <= columns <= 660, "60 to 75 characters a line"


def test_small_screen_has_views(page, site):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(site.lesson)
    page.get_by_role("button", name="Terminals", exact=True).click()
    page.get_by_role("button", name="Start the lab", exact=True).click()
    expect(page.locator("lectern-terminal[data-link=live]")).to_have_count(2)
    expect(page.locator("#lesson")).to_be_hidden()
    page.get_by_role("button", name="Lesson", exact=True).click()
    run(page, "hostname")
    expect(terminal(page)).to_be_hidden()


def test_theme_is_switched_and_kept(page, site):
    page.emulate_media(color_scheme="light")
    page.goto(site.lesson)
    theme = page.locator("html")
    expect(theme).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name=re.compile("^Colours")).click()
    page.get_by_role("button", name=re.compile("^Colours")).click()
    expect(theme).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(theme).to_have_attribute("data-theme", "dark")


def test_first_visit_has_three_remarks(browser, site, watch):
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.on("page", watch.follow)
    page = context.new_page()
    page.goto(site.lesson)
    page.get_by_role("button", name="Start the lab", exact=True).click()
    ready(page)
    coach = page.locator(".coach")
    for number in (1, 2, 3):
        expect(coach).to_contain_text(f"{number} of 3")
        coach.get_by_role("button").last.click()
    expect(coach).to_have_count(0)
    page.reload()
    ready(page)
    page.wait_for_timeout(1500)
    expect(coach).to_have_count(0)
    from conftest import end_labs

    end_labs(context, site)
    context.close()


def test_page_weight(page, site):
    weights = {}

    def note(response):
        if response.url.startswith(site.url) and "/assets/xterm/" not in response.url and "/api/" not in response.url and response.status == 200:
            weights[response.url] = response.request.sizes()["responseBodySize"]

    page.on("requestfinished", lambda request: note(request.response()))
    page.goto(site.lesson)
    page.wait_for_load_state("networkidle")
    assert len(weights) > 10
    assert sum(weights.values()) <= 120_000, f"{sum(weights.values())} bytes"


def test_policy_is_strict(page, site):
    policy = page.goto(site.lesson).headers["content-security-policy"]
    assert "unsafe-eval" not in policy and "unsafe-inline" not in policy
    assert "script-src 'self'" in policy
