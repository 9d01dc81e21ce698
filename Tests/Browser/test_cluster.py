"""The cluster view with lines of a cluster that is played here, and the join command that a block's output holds."""

import pytest
from cluster_lines import CLUSTER, WAITING, line, pod
from conftest import block, terminal, wait_screen
from playwright.sync_api import expect


@pytest.fixture
def cluster(page):
    """Plays the server's side of the view's WebSocket; `cluster.lines` are sent to each who connects."""

    class Played:
        lines = CLUSTER
        sockets = []
        closed = 0

        def connected(self, socket):
            self.sockets.append(socket)
            socket.on_close(lambda *_: setattr(self, "closed", self.closed + 1))
            for text in self.lines:
                socket.send(text)

        def send(self, text):
            self.sockets[-1].send(text)

    played = Played()
    played.sockets = []
    page.route_web_socket("**/api/v1/labs/*/cluster", played.connected)
    return played


def open_view(page):
    page.get_by_role("button", name="Cluster", exact=True).click()
    return page.locator("lectern-cluster")


def test_nodes_stand_bare_before_there_is_a_cluster(cluster, lesson):
    cluster.lines = WAITING
    view = open_view(lesson)
    expect(view.locator(".cluster-node.bare")).to_have_count(2)
    expect(view.locator(".cluster-state")).to_contain_text("kubeadm init")
    expect(terminal(lesson)).to_be_visible()  # the learner types and looks at once


def test_pods_by_state_and_what_a_service_selects(cluster, lesson):
    view = open_view(lesson)
    expect(view.locator(".tile")).to_have_count(8)
    for name, tone in (("web-6d5f-aaaaa", "good"), ("web-6d5f-ccccc", "starting"), ("web-58bc-ddddd", "ending"), ("broken-7f9c-eeeee", "bad"), ("typo", "bad"), ("once-fffff", "done")):
        expect(view.locator(f".tile.{tone}", has_text=name)).to_have_count(1)
    expect(view.locator(".homeless .tile")).to_have_count(1)
    expect(view.locator(".workload", has_text="web").first).to_contain_text("rolling out, 2 of 3 new")
    expect(view.locator(".event").first).to_contain_text("FailedScheduling")
    view.locator(".service", has_text="30080").focus()
    expect(view.locator(".tile.pointed")).to_have_count(4)
    expect(view.locator(".cluster-lines path")).to_have_count(4)
    view.get_by_label("System").check()
    expect(view.locator(".tile")).to_have_count(11)
    view.get_by_label("Namespace").select_option("kube-system")
    expect(view.locator(".tile")).to_have_count(3)


def test_changes_come_without_asking_and_the_focus_stays(cluster, lesson):
    view = open_view(lesson)
    tile = view.locator(".tile", has_text="web-6d5f-ccccc")
    tile.focus()
    cluster.send(line("pods", pod("web-6d5f-ccccc", "node2", labels={"app": "web"}, owner="rs-new"), gone=["pods-default-web-58bc-ddddd"]))
    expect(view.locator(".tile.good", has_text="web-6d5f-ccccc")).to_be_focused()
    expect(view.locator(".tile")).to_have_count(7)


def test_more_about_a_pod(cluster, lesson):
    asked = []

    def answer(route):
        command = route.request.post_data_json["command"]
        asked.append(command)
        route.fulfill(json={"exitCode": 0, "stdout": "said " + " ".join(command), "stderr": "", "timedOut": False})

    lesson.route("**/nodes/node1/exec", answer)
    view = open_view(lesson)
    view.locator(".tile", has_text="broken").click()
    panel = view.locator(".cluster-panel")
    expect(panel.locator("pre")).to_contain_text("describe pod broken-7f9c-eeeee")
    panel.get_by_role("tab", name="Logs").click()
    expect(panel.locator("pre")).to_contain_text("--tail=200")
    panel.get_by_role("tab", name="YAML").click()
    expect(panel.locator("pre")).to_contain_text("-o yaml")
    lesson.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(view.locator(".tile", has_text="broken")).to_be_focused()
    assert [command[1] for command in asked] == ["describe", "logs", "get"]


def test_nothing_is_open_while_nobody_looks(cluster, lesson):
    view = open_view(lesson)
    expect(view.locator(".tile")).to_have_count(8)
    open_view(lesson)
    expect(view).to_be_hidden()
    lesson.wait_for_timeout(200)
    assert (len(cluster.sockets), cluster.closed) == (1, 1)


def test_a_real_feed_answers(lesson):
    """No cluster was made in this lab: the agent's own feed says so."""
    view = open_view(lesson)
    expect(view.locator(".cluster-node.bare")).to_have_count(2)
    expect(view.locator(".cluster-state.waiting")).to_be_visible()


def test_the_join_command_is_offered_for_the_other_node(lesson):
    found = block(lesson, "token abcdef")
    found.locator(".run").click()
    expect(found).to_have_attribute("state", "done")
    chip = found.get_by_role("button", name="Run on node2")
    expect(chip).to_be_visible()
    chip.click()
    wait_screen(lesson, 1, "# kubeadm join 172.30.0.11:6443")
