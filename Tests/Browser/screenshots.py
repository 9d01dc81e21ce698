"""Takes the pictures of README.md and the documents from a running server: LECTERN_URL=… python3 Tests/Browser/screenshots.py"""

import os
import pathlib
import shutil

from playwright.sync_api import expect, sync_playwright

OUT = pathlib.Path(__file__).resolve().parents[2] / "docs" / "images"
URL = os.environ.get("LECTERN_URL", "http://localhost:8080").rstrip("/")
CHROMIUM = os.environ.get("LECTERN_CHROMIUM") or shutil.which("chromium")


def lesson(page):
    page.goto(f"{URL}/w/kubernetes-for-beginners")
    start = page.get_by_role("button", name="Start the lab", exact=True)
    expect(start.or_(page.locator("lectern-terminal").first)).to_be_visible()
    if start.is_visible():
        start.click()
    expect(page.locator("lectern-terminal[data-link=live]")).to_have_count(2, timeout=20_000)
    for text in ("hostname", "ping -c 3 node2", "ping -c 3 node1"):
        block = page.locator("lectern-block", has_text=text).first
        block.locator(".run").click()
        expect(block).to_have_attribute("state", "done", timeout=20_000)
    page.mouse.move(900, 20)
    page.locator("lectern-block").first.evaluate("block => block.scrollIntoView({ block: 'center', behavior: 'instant' })")
    page.wait_for_timeout(500)


def end(page):
    page.evaluate("""async () => {
        const token = document.cookie.split('; ').find(it => it.startsWith('lectern_csrf='))?.slice(13) ?? '';
        for (const lab of (await (await fetch('/api/v1/labs')).json()).labs) await fetch(`/api/v1/labs/${lab.id}`, { method: 'DELETE', headers: { 'X-Lectern-CSRF': token } });
    }""")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme, suffix in (("light", ""), ("dark", "-dark")):
            context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)
            context.add_init_script("localStorage.setItem('lectern.coached', 'true')")
            page = context.new_page()
            try:
                lesson(page)
                page.screenshot(path=OUT / f"lesson{suffix}.png")
            finally:
                end(page)
            page.goto(URL)
            page.wait_for_load_state("networkidle")
            page.screenshot(path=OUT / f"catalogue{suffix}.png")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
