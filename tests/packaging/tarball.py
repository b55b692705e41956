#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tarball of `make tarball`: its programs in a root that has nothing else, not even a C library; then its installer and its
service in a bare Debian root, which has none of the relay's libraries; removal.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import bare_root  # noqa: E402 (needs the path)
from lab import Lab, Skip, inside, need  # noqa: E402
from notified import Notified  # noqa: E402
from verdict import check, exit_status  # noqa: E402

PREFIX = "/opt/rtpferry"
UNIT = "/etc/systemd/system/rtpferry.service"


def alone_in_a_root(tree):
    """The programs where no other file is. A library that is missing would end each of them at once."""
    with tempfile.TemporaryDirectory(prefix="ferry-empty-") as empty:
        shutil.copytree(tree, empty + PREFIX, symlinks=True)
        for program, words, said in (("rtpferryd", ["--config-file=none", "--version"], "rtpferryd 0."),
                                     ("rtpferryd", ["--config-file=none", "--codecs"], "opus"),
                                     ("rtpferryctl", ["--help"], "explain"), ("rtpferry-rtpproxy", ["--help"], "rtpproxy")):
            result = subprocess.run(["chroot", empty, f"{PREFIX}/bin/{program}", *words], capture_output=True, text=True)
            check(result.returncode == 0 and said.lower() in result.stdout.lower(),
                  f"{program} {' '.join(words)} needs no file but its own {result.stderr.strip()[-300:]}")
        found = subprocess.run(["chroot", empty, f"{PREFIX}/bin/rtpferryd", "--config-file=none", "--interface=127.0.0.1", "--check-config"],
                               capture_output=True, text=True)
        check("configuration is good" in found.stdout, f"and a configuration is checked {found.stderr.strip()[-300:]}")


def licences(tree):
    libraries = {os.path.basename(each) for each in glob.glob(os.path.join(tree, "lib", "*"))}
    texts = {os.path.basename(each) for each in glob.glob(os.path.join(tree, "licences", "*"))}
    with open(os.path.join(tree, "licences", "LIBRARIES"), encoding="utf-8") as file:
        packages = {line.split()[0] for line in file if not line.startswith("#")}
    check(len(libraries) > 40 and packages and packages <= texts and "rtpferry" in texts,
          f"{len(libraries)} libraries of {len(packages)} packages come with their licences {sorted(packages - texts) or ''}")


def service(root):
    unit = bare_root.Unit(root.read(UNIT))
    unit.state_folder(root)
    with Lab() as lab:
        manager = Notified(root.at("/run/notify"))
        with open(lab.path("relay.log"), "wb") as log:
            process = subprocess.Popen(inside("core", *unit.command(root, "/run/notify")), stdout=log, stderr=subprocess.STDOUT)
        lab.processes.append(process)
        is_up = manager.wait_for("READY=1", 30)
        check(is_up, f"its service starts with the default configuration {'' if is_up else lab.log('relay.log')[-1500:]}")
        told = root.run(f"{PREFIX}/bin/rtpferryctl", "ready", check=False)
        check(told.stdout == "ready\n", f"rtpferryctl ready: {(told.stdout + told.stderr).strip()}")
        process.terminate()
        check(process.wait(20) == 0, "and ends with status 0")
        manager.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", default=os.path.join(TOP, "build", "deb"), help="folder with the tarball (build/deb)")
    arguments = parser.parse_args()
    try:
        need("chroot", "unshare", "mmdebstrap", "setpriv", "ip")
        bare_root.alone(os.path.realpath(__file__))
        tarballs = glob.glob(os.path.join(arguments.packages, "rtpferry-*-linux-*.tar.xz"))
        if len(tarballs) != 1:
            raise Skip(f"there is no single tarball in {arguments.packages}: make tarball")
        with tempfile.TemporaryDirectory(prefix="ferry-tarball-") as directory, \
                bare_root.debian(os.path.join(arguments.packages, f"{bare_root.SUITE}.tar")) as root:
            subprocess.run(["tar", "-xf", tarballs[0], "-C", directory], check=True)
            (tree,) = glob.glob(os.path.join(directory, "*"))
            licences(tree)
            alone_in_a_root(tree)
            before = root.files()
            shutil.copytree(tree, root.at("/tmp/unpacked"), symlinks=True)
            root.run("/tmp/unpacked/install.sh")
            check(not any("libevent" in each for each in root.files() if not each.startswith(("/opt", "/tmp"))), "the root has none of the libraries")
            service(root)
            root.run("sh", "-c", "echo '# mine' >> /etc/rtpferry/rtpferry.conf")
            root.run("/tmp/unpacked/install.sh")
            check("# mine" in root.read("/etc/rtpferry/rtpferry.conf"), "a second installation keeps the configuration")
            root.run("/tmp/unpacked/install.sh", "--remove")
            left = sorted(each for each in root.files() - before if not each.startswith(("/tmp/unpacked", "/etc/rtpferry", "/var/lib/rtpferry"))
                          and not each.endswith("-") and each not in ("/opt", "/etc/tmpfiles.d", "/etc/systemd/system"))
            check(not [each for each in left if "rtpferry" in each], f"--remove leaves configuration and state alone {left[:5] or ''}")
        return exit_status()
    except Skip as why:
        print(f"SKIP: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
