# What every login shell of a node knows.
export LANG=C.UTF-8
export EDITOR="${EDITOR:-nano}"
export LESS="${LESS:--R}"
export DOCKER_BUILDKIT=0
export DOCKER_HOST=unix:///run/podman/podman.sock
export PODMAN_IGNORE_CGROUPSV1_WARNING=1
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
