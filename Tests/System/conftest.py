"""One server for most tests; tests that kill or configure it start their own."""

import pytest

from lectern import Person, Server, traces, wait_until


@pytest.fixture(scope="session")
def server():
    server = Server("caps:\n  labsPerPerson: 4\n").start()
    yield server
    server.destroy()
    assert traces(server) == []


@pytest.fixture
def person(server):
    return Person(server)


@pytest.fixture
def own_server():
    """Makes servers that a test may kill; all are gone afterwards, and so is all they left."""
    made = []

    def make(config="", **kw):
        server = Server(config, **kw)
        made.append(server)
        return server

    yield make
    for server in made:
        if server.process and server.process.poll() is not None:
            server.start()
        server.destroy()
        wait_until(lambda: traces(server) == [], 10, f"nothing being left: {traces(server)}")


@pytest.fixture(scope="session")
def lab(server):
    owner = Person(server)
    lab = owner.start_lab("kubernetes-for-beginners")
    lab["person"] = owner
    yield lab
    owner.end_lab(lab["id"])
