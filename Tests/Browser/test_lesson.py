"""The lesson page: a lab from start to end, as a learner does it."""

import re

import pytest
from playwright.sync_api import expect

from conftest import block, ready, run, screen, terminal, wait_screen


def test_text_is_there_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site.lesson)
    expect(page.get_by_role("heading", name="A tour of the page")).to_be_visible()
    assert "hostname" in page.inner_text("#lesson")
    context.close()


def test_blocks_run_and_tell_how_it_went(lesson):
    run(lesson, "hostname")
    assert re.search(r"hostname\n\S+", screen(lesson))
    several = run(lesson, "mkdir -p ~/tour")
    expect(several.locator(".block-status")).to_contain_text("Done in")
    assert "hello alpha\nhello beta" in screen(lesson)
    assert several.locator(".glyph[data-glyph='$']").count() == 4

    failed = run(lesson, "ls /nowhere", "failed")
    expect(failed.locator(".block-status")).to_contain_text("Command 2 of 3 ended with exit status 2")
    assert "after" not in re.findall(r"^after$", screen(lesson), re.M)
    failed.get_by_role("button", name="Run the rest").click()
    expect(failed).to_have_attribute("state", "done")
    assert re.search(r"^after$", screen(lesson), re.M)

    slow = block(lesson, "sleep 2")
    slow.locator("pre").click()
    expect(slow).to_have_attribute("state", "running")
    expect(slow).to_have_attribute("state", "done")
    assert re.search(r"^slept$", screen(lesson, 1), re.M)


def test_click_before_the_lab_starts_it(page, site):
    page.goto(site.lesson)
    block(page, "sleep 2").locator(".run").click()
    page.get_by_role("dialog").get_by_role("button", name="Start and run it").click()
    expect(block(page, "sleep 2")).to_have_attribute("state", "done")
    assert re.search(r"^slept$", screen(page, 1), re.M)


def test_typing_and_inline_commands(lesson):
    terminal(lesson, 1).click()
    lesson.keyboard.type("echo typed-$((40+2))\n")
    wait_screen(lesson, 1, "^typed-42$")
    lesson.get_by_role("button", name="Type in node2: ls").click()
    wait_screen(lesson, 1, r"ls$")
    lesson.keyboard.press("Control+c")


def test_reload_keeps_screen_and_job(lesson):
    terminal(lesson).click()
    lesson.keyboard.type("for i in $(seq 1 1000); do echo tick-$i; sleep 0.2; done\n")
    wait_screen(lesson, 0, "^tick-5$")
    lesson.reload()
    wait_screen(lesson, 0, "^tick-5$")
    after = int(re.findall(r"^tick-(\d+)$", screen(lesson), re.M)[-1])
    wait_screen(lesson, 0, f"^tick-{after + 5}$")
    ticks = [int(number) for number in re.findall(r"^tick-(\d+)$", screen(lesson), re.M)]
    assert ticks == list(range(1, len(ticks) + 1)), "each line once and in order"
    terminal(lesson).click()
    lesson.keyboard.press("Control+c")
    wait_screen(lesson, 0, r"[#$] *$")


@pytest.fixture
def outage(visitor):
    """Lets a test cut every WebSocket of its pages and keep new ones from coming about."""
    visitor.add_init_script("""(() => {
        const Real = WebSocket;
        const open = new Set();
        window.outage = false;
        window.WebSocket = class extends Real {
            constructor(address, protocol) {
                super(window.outage ? new URL('/api/v1/nothing', location.href.replace(/^http/, 'ws')) : address, protocol);
                open.add(this);
            }
        };
        window.cut = () => { window.outage = true; for (const socket of open) socket.close(); };
    })()""")


def test_connection_lost_and_back(outage, lesson, watch):
    watch.allowed = ["WebSocket connection"]
    run(lesson, "hostname")
    terminal(lesson).click()
    lesson.keyboard.type("echo one; sleep 1; echo t")
    lesson.evaluate("() => window.cut()")
    expect(terminal(lesson)).to_have_attribute("data-link", "reconnecting")
    expect(terminal(lesson).locator(".term-state")).to_contain_text("nothing is lost")
    lesson.keyboard.type("wo; echo three\n")
    lesson.evaluate("() => { window.outage = false; }")
    expect(terminal(lesson)).to_have_attribute("data-link", "live")
    wait_screen(lesson, 0, "^three$")
    assert screen(lesson).count("echo one; sleep 1; echo two; echo three") == 1
    assert len(re.findall(r"^two$", screen(lesson), re.M)) == 1


def test_program_that_holds_the_terminal_is_asked_about(lesson):
    block(lesson, "http.server 8000").locator(".run").click()
    wait_screen(lesson, 0, "Serving HTTP")
    block(lesson, "hostname").locator(".run").click()
    dialog = lesson.get_by_role("dialog")
    expect(dialog).to_contain_text("is running in node1")
    dialog.get_by_role("button", name="Stop").click()
    expect(block(lesson, "hostname")).to_have_attribute("state", "done")
    expect(block(lesson, "http.server 8000")).to_have_attribute("state", re.compile("failed|done"))


def test_port_opens_in_a_new_tab(lesson, visitor, watch):
    watch.allowed = ["503", "404"]
    link = lesson.locator("a.port-link")
    expect(link).to_contain_text("waiting for something to listen on 8000")
    with visitor.expect_page() as waiting:
        link.click()
    expect(waiting.value.get_by_role("heading")).to_contain_text("Nothing listens on port 8000 of node1 yet")
    block(lesson, "http.server 8000").locator(".run").click()
    expect(waiting.value.get_by_role("heading")).to_contain_text("Directory listing")
    expect(link).to_have_class(re.compile("open"))
    expect(link).to_contain_text("node1:8000")
    lesson.get_by_role("button", name=re.compile("^Ports")).click()
    with visitor.expect_page() as second:
        lesson.get_by_role("dialog", name="Ports").get_by_role("menuitem", name=re.compile("node1:8000")).click()
    expect(second.value.get_by_role("heading")).to_contain_text("Directory listing")


def test_countdown_and_extension(lesson):
    clock = lesson.locator("#clock")
    before = clock.locator(".words").inner_text()
    assert re.fullmatch(r"(\d+ h )?\d+ (min|h|s) left", before)
    clock.get_by_role("button").click()
    expect(lesson.locator(".toast")).to_contain_text("now ends in")
    expect(clock.locator(".words")).not_to_have_text(before)


def test_end_names_what_is_lost(lesson):
    lesson.get_by_role("button", name="Menu", exact=True).click()
    lesson.get_by_role("menuitem", name="End the lab…").click()
    dialog = lesson.get_by_role("dialog")
    expect(dialog).to_contain_text("2 machines: node1, node2")
    dialog.get_by_role("button", name="End the lab").click()
    expect(lesson.get_by_role("heading", name="This lab has ended")).to_be_visible()
    expect(lesson.locator("#clock")).to_be_hidden()
    lesson.get_by_role("button", name="Start again").click()
    ready(lesson)


def test_reset_gives_a_fresh_node(lesson):
    terminal(lesson, 1).click()
    lesson.keyboard.type("echo gone > ~/file; echo written\n")
    wait_screen(lesson, 1, "^written$")
    lesson.get_by_role("button", name="Nodes").click()
    lesson.get_by_role("dialog", name="Nodes").get_by_role("button", name="Reset…").nth(1).click()
    lesson.get_by_role("dialog").get_by_role("button", name="Reset node2").click()
    lesson.wait_for_function("() => !document.querySelectorAll('lectern-terminal')[1]?.allText().includes('written')")
    ready(lesson)
    terminal(lesson, 1).click()
    lesson.keyboard.type("ls ~/file\n")
    wait_screen(lesson, 1, "No such file")


def test_shells_tabs_and_layouts(lesson):
    lesson.get_by_role("button", name="New shell").click()
    lesson.get_by_role("menuitem", name=re.compile("node2")).click()
    tabs = lesson.get_by_role("tab")
    expect(tabs).to_have_count(3)
    expect(lesson.locator("lectern-terminal[data-link=live]")).to_have_count(3)
    lesson.get_by_role("button", name=re.compile("^Layout")).click()
    lesson.get_by_role("menuitemcheckbox", name="One terminal").click()
    expect(lesson.locator("lectern-terminal:visible")).to_have_count(1)
    lesson.get_by_role("button", name=re.compile("^Layout")).click()
    lesson.get_by_role("menuitemcheckbox", name="Side by side").click()
    expect(lesson.locator("lectern-terminal:visible")).to_have_count(2)
    lesson.reload()
    expect(tabs).to_have_count(3)
    lesson.get_by_role("button", name="Close node2 · 2").click()
    expect(tabs).to_have_count(2)


def test_copy_paste_and_find(lesson):
    terminal(lesson).click()
    lesson.keyboard.type("seq 1 60\n")
    wait_screen(lesson, 0, "^60$")
    lesson.keyboard.press("Control+Shift+F")
    find = terminal(lesson).get_by_role("searchbox")
    find.fill("17")
    expect(terminal(lesson).locator(".term-find .count")).to_contain_text("of 1")
    find.press("Escape")
    lesson.evaluate("() => navigator.clipboard.writeText('echo first\\necho second')")
    lesson.keyboard.press("Control+Shift+V")
    wait_screen(lesson, 0, "echo second$")
    assert "^first$" not in screen(lesson), "several pasted lines wait for Enter"
    lesson.keyboard.press("Enter")
    wait_screen(lesson, 0, "^first$\n^second$")
    terminal(lesson).evaluate("view => view.selectAll()")
    terminal(lesson).click(button="right")
    lesson.keyboard.press("Escape")
    terminal(lesson).evaluate("view => view.selectAll()")
    lesson.keyboard.press("Control+Shift+C")
    expect(lesson.locator(".toast").last).to_contain_text("Copied")
    assert "second" in lesson.evaluate("() => navigator.clipboard.readText()")
