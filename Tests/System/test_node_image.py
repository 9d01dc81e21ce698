"""What lessons may count on finding on a node."""

import pytest

DOCKER = r"""
set -e
cd /root
mkdir -p box/tmp box/proc
cp --parents /bin/sh /bin/cat /bin/sleep /lib/*/libc.so.6 /lib64/ld-linux-*.so* box 2>/dev/null || cp --parents /bin/sh /bin/cat /bin/sleep /lib/*/libc.so.6 /lib/ld-linux-*.so* box
tar -C box -c . | docker import - box
docker run --rm box sh -c 'echo hello from a container'
printf 'FROM box\nRUN echo built > /built\nCMD ["cat","/built"]\n' > Dockerfile
docker build -t mine .
docker run --rm mine
printf 'services:\n  web:\n    image: box\n    command: sleep 50\n' > compose.yaml
docker compose up -d
docker compose ps
docker compose down -t 0
docker rmi -f mine box
"""


@pytest.mark.parametrize(
    "command",
    [
        "kubectl version --client", "git --version", "jq --version", "curl --version", "wget --version", "nano --version", "vim --version",
        "tmux -V", "strace --version", "python3 -c 'import http.server, json, sqlite3, ssl, ctypes, statistics, yaml'", "openssl version",
        "nft list tables", "iptables -L -n", "ip address", "dig -v", "ps aux", "tree --version", "htop --version", "locale -k LC_CTYPE",
        "test \"$(locale charmap)\" = UTF-8", "test \"$(hostname)\" = node1", "getent hosts node2",
    ],
)
def test_a_tool_of_lessons_is_there(lab, command):
    answer = lab["person"].exec(lab["id"], "node1", "bash", "-lc", command)
    assert answer["exitCode"] == 0, answer


def test_docker_works_as_lessons_use_it(lab):
    answer = lab["person"].exec(lab["id"], "node1", "bash", "-lc", DOCKER, timeout=120)
    assert answer["exitCode"] == 0, answer
    assert "hello from a container" in answer["stdout"]
    assert "\nbuilt\n" in answer["stdout"]


def test_nodes_reach_each_other_by_name(lab):
    answer = lab["person"].exec(lab["id"], "node1", "ping", "-c", "1", "-W", "2", "node2")
    assert answer["exitCode"] == 0, answer
