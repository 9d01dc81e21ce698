"""`make bench`: starts a server of its own, measures what docs/performance.md lists, prints a table and writes .build/bench.md.

    bench.py [--binaries DIR] [--images STATE] [--scale 0.1] [--only NAME[,NAME]]

`--scale` takes a share of the samples, for a quick look; `--only` names figures by their functions in figures.py.
"""

import argparse
import os
import pathlib
import platform
import sys
import time
import traceback


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--binaries")
    arguments.add_argument("--images", help="a state folder that has images/ and assets/")
    arguments.add_argument("--scale", type=float, default=1)
    arguments.add_argument("--only", default="")
    options = arguments.parse_args()
    if options.binaries:
        os.environ["LECTERN_PROGRAM"] = str(pathlib.Path(options.binaries).resolve() / "lectern")
    if options.images:
        os.environ["LECTERN_IMAGES"] = options.images + "/images"
        os.environ["LECTERN_ASSETS"] = options.images + "/assets"

    import figures

    known = {figure.__name__: figure for figure in figures.ALL}
    wanted = options.only.split(",") if options.only else list(known)
    for name in wanted:
        if name not in known:
            sys.exit(f"bench: no figure {name}; there are {', '.join(known)}")

    run = figures.Run(options.scale)
    rows, failed = [], False
    try:
        for name in wanted:
            begun = time.monotonic()
            try:
                for what, aim, measured, reached in known[name](run):
                    mark = {True: "yes", False: "no", None: ""}[reached]
                    rows.append((what, aim, measured, mark))
                    print(f"{what}: {measured}" + (f"  (aim {aim}: {mark})" if aim else ""), flush=True)
            except Exception:
                failed = True
                rows.append((name, "", "not measured: see the log", "no"))
                traceback.print_exc()
                print(run.server.log_text()[-4000:], file=sys.stderr)
            try:
                run.end_all()
            except Exception:
                traceback.print_exc()
            print(f"  [{name}: {time.monotonic() - begun:.0f} s]", flush=True)
    finally:
        run.server.destroy()

    table = ["| figure | aim | measured | reached |", "|---|---|---|---|"]
    table += [f"| {what} | {aim} | {measured} | {mark} |" for what, aim, measured, mark in rows]
    cores, kernel = os.cpu_count(), platform.release().split("-")[0]
    heading = f"Measured {time.strftime('%Y-%m-%d')} on {cores} cores, Linux {kernel}" + (
        f", {options.scale:g} of the samples" if options.scale != 1 else "")
    target = pathlib.Path(".build/bench.md")
    target.parent.mkdir(exist_ok=True)
    target.write_text(heading + ".\n\n" + "\n".join(table) + "\n")
    print("\n" + heading + "\n" + "\n".join(table))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
