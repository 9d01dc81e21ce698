"""Catalogue, admin, errors, and the files that carry their own policy."""

import base64
import hashlib
import pathlib
import re

import pytest
from playwright.sync_api import expect

from conftest import ready

PUBLIC = pathlib.Path(__file__).resolve().parents[2] / "Public"


def test_catalogue_finds_and_leads_back(lesson, site):
    lesson.goto(site.url)
    resume = lesson.get_by_label("Your labs")
    expect(resume).to_contain_text("A tour of the page")
    expect(resume).to_contain_text("left")
    lesson.get_by_role("searchbox", name="Search workshops").fill("nothing like this")
    expect(lesson.get_by_text("Nothing fits.")).to_be_visible()
    lesson.get_by_role("searchbox", name="Search workshops").fill("tour")
    expect(lesson.locator(".card")).to_have_count(1)
    lesson.get_by_role("button", name="tour", exact=True).click()
    expect(lesson.locator(".card")).to_have_count(1)
    resume.get_by_role("link", name="Go on").click()
    ready(lesson)


def test_admin_page(visitor, site, lesson, browser, watch):
    link = site.admin_link()
    if not link:
        pytest.skip("no admin link was given")
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.on("page", watch.follow)
    page = context.new_page()
    page.goto(link)
    expect(page).to_have_url(site.url + "/admin")
    for name in ("Labs", "Memory", "CPU", "Disk"):
        expect(page.locator("#numbers").get_by_role("heading", name=name)).to_be_visible()
    lab = lesson.evaluate("async () => (await (await fetch('/api/v1/labs')).json()).labs.find(lab => lab.state === 'ready').id")
    row = page.get_by_role("row", name=re.compile(lab))
    expect(row).to_contain_text("page-tour")
    page.get_by_role("searchbox", name="Filter labs").fill("no such lab")
    expect(row).to_have_count(0)
    page.get_by_role("searchbox", name="Filter labs").fill(lab)
    expect(row).to_have_count(1)
    row.get_by_role("button", name=re.compile("^Extend")).click()
    expect(page.locator(".toast")).to_contain_text("30 minutes more")

    cap = page.locator("input[name=idleMinutes]")
    old = cap.input_value()
    cap.fill(str(int(old) + 1))
    expect(page.locator(".caps-foot")).to_contain_text("→")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#audit")).to_contain_text("idleMinutes")
    cap.fill("999999999")
    expect(page.locator(".caps-foot")).to_contain_text("out of range")
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    page.get_by_role("button", name="Undo").click()
    cap.fill(old)
    page.get_by_role("button", name="Save").click()
    expect(cap).to_have_value(old)

    row.get_by_role("button", name=re.compile("^End lab")).click()
    expect(page.get_by_role("dialog")).to_contain_text("2 machines (node1, node2)")
    page.get_by_role("dialog").get_by_role("button", name="End the lab").click()
    expect(lesson.get_by_role("heading", name="This lab has ended")).to_be_visible()
    context.close()


def test_login_link_works_once(browser, site, watch):
    link = site.admin_link()
    if not link:
        pytest.skip("no admin link was given")
    watch.allowed = ["the server responded with a status of 4"]
    first, second = browser.new_context(), browser.new_context()
    if not first.new_page().goto(link).ok:
        pytest.skip("the given link was used by another test")
    second.on("page", watch.follow)
    page = second.new_page()
    assert page.goto(link).status >= 400
    expect(page.get_by_role("heading")).to_be_visible()
    expect(page.get_by_role("link", name="All workshops")).to_be_visible()
    first.close()
    second.close()


def test_strangers_do_not_see_the_admin_page(page, site, watch):
    watch.allowed = ["the server responded with a status of 40"]
    page.goto(site.url + "/admin")
    expect(page.get_by_role("heading")).to_contain_text("admin")


@pytest.mark.parametrize("name", ["waiting.html", "port-error.html"])
def test_pages_of_port_hosts_carry_the_hash_of_their_style(name):
    text = (PUBLIC / name).read_text()
    style = re.search(r"<style>(.*?)</style>", text, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text
    assert "<script" not in text and "/assets/" not in text


def test_shells_have_no_inline_script_or_style():
    for shell in ("catalogue.html", "lesson.html", "admin.html", "error.html"):
        text = (PUBLIC / shell).read_text()
        assert "<style" not in text and " style=" not in text and not re.search(r"<script(?![^>]*src=)", text) and not re.search(r"\son\w+=", text)
