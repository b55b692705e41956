#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Debian packages of `make deb` in a bare Debian root: install; the service as its unit starts it, with the
default configuration; a call through Kamailio; who may use rtpferryctl; AppArmor's profile against what the daemon did;
upgrade; the other packages; remove; purge; lintian. With --reproduce the packages are built once more, elsewhere and without ccache,
and compared.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import apparmor_rules  # noqa: E402 (needs the path)
import bare_root  # noqa: E402
import calls  # noqa: E402
from lab import RELAY4, RELAY6, Lab, Skip, inside, need  # noqa: E402
from notified import Notified  # noqa: E402
from verdict import check, exit_status  # noqa: E402

MOST_SECONDS = 120
CONFIGURATION = "/etc/rtpferry/rtpferry.conf"
UNIT = "/lib/systemd/system/rtpferry.service"
FILE_CALLS = ("open,openat,unlink,unlinkat,mkdir,mkdirat,rmdir,chmod,fchmodat,chown,lchown,fchownat,truncate,rename,renameat,renameat2,"
              "bind,connect")
# What any installation of any package changes.
OF_DEBIAN = re.compile(r"/(var/(lib/(dpkg|apt|systemd|pam|ucf)|cache|log)|etc/(ld\.so\.cache|passwd|group|shadow|gshadow|subuid|subgid)|"
                       r"tmp|root|etc/(machine-id|\.pwd\.lock))(-?$|/)")


def packages(folder, version, architecture):
    """Name -> file."""
    found = {}
    for name in ("rtpferry", "rtpferry-dpdk", "rtpferry-plugins-gpl"):
        path = os.path.join(folder, f"{name}_{version}_{architecture}.deb")
        if not os.path.exists(path):
            raise Skip(f"there is no {path}: make deb")
        found[name] = path
    return found


def output(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=True, **options).stdout.strip()


class Service:
    """The unit's service in the root. `lab` is where it lives, if not in the network of the test."""

    def __init__(self, root, lab, trace=None):
        self.root = root
        unit = bare_root.Unit(root.read(UNIT))
        unit.state_folder(root)
        self.manager = Notified(root.at("/run/notify"))
        before = ["strace", "-f", "-y", "-qq", "-o", trace, "-e", f"trace={FILE_CALLS}"] if trace else []
        self.log = lab.path("relay.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(inside("core", *unit.command(root, "/run/notify", before)), stdout=log, stderr=subprocess.STDOUT)
        lab.processes.append(self.process)
        self.is_up = self.manager.wait_for("READY=1", 30)
        if not self.is_up:
            print(lab.log("relay.log")[-2000:])

    def ctl(self, *words):
        result = self.root.run("rtpferryctl", "--json", *words, check=False)
        return json.loads(result.stdout) if result.stdout else {}

    def used_pairs(self):
        return sum(each["used"] for each in self.ctl("ports")["ports"])

    def stop(self):
        self.process.terminate()
        status = self.process.wait(20)
        self.manager.close()
        return status


def lintian(files, changes):
    if shutil.which("lintian") is None:
        print("skipped  lintian is not installed")
        return
    said = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", "--display-info", changes], capture_output=True, text=True)
    serious = [line for line in said.stdout.splitlines() if re.match(r"[EW]:", line)]
    check(said.returncode == 0 and not serious, f"lintian has no error and no warning for {len(files)} packages and their source")
    print("\n".join("         " + line for line in said.stdout.splitlines()))


def contents(root, package):
    said = root.run("dpkg", "--verify", "rtpferry", check=False)
    check(said.returncode == 0 and not said.stdout.strip(), f"dpkg --verify finds every file as it was packed {said.stdout.strip()}")
    users = {line.split(":")[0]: line.split(":") for line in root.read("/etc/passwd").splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in root.read("/etc/group").splitlines()}
    check("rtpferry" in users and "rtpferry" in groups and "rtpferryctl" in groups, "the user and both groups are there")
    info = os.stat(root.at("/etc/rtpferry"))
    check(info.st_mode & 0o7777 == 0o750 and info.st_gid == int(groups["rtpferry"][2]) and info.st_uid == 0,
          "/etc/rtpferry is root's and the daemon may read it")
    info = os.stat(root.at("/run/rtpferry"))
    check(info.st_mode & 0o7777 == 0o2755 and info.st_gid == int(groups["rtpferryctl"][2]), "/run/rtpferry gives its group to sockets")
    check(root.run("rtpferryd", "--version").stdout.strip() == "rtpferryd " + package.rsplit("-", 1)[0], "rtpferryd runs and says its version")
    for there in ("/usr/share/man/man8/rtpferryd.8.gz", "/usr/share/man/man1/rtpferryctl.1.gz", "/usr/share/doc/rtpferry/copyright",
                  "/usr/share/doc/rtpferry/NOTICE", "/etc/apparmor.d/usr.sbin.rtpferryd"):
        # A minimal root may leave documents out.
        listed = there in root.run("dpkg", "-L", "rtpferry").stdout.splitlines()
        check(listed, f"{there} is in the package")
    check(root.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "gcc", check=False).stdout != "installed", "there is no compiler")


def default_start(root):
    """The configuration as it is packaged."""
    with Lab() as lab:
        service = Service(root, lab)
        check(service.is_up, "the service starts with the default configuration and says READY=1")
        told = root.run("rtpferryctl", "ready", check=False)
        check(told.stdout == "ready\n", f"rtpferryctl ready: {told.stdout.strip()}{told.stderr.strip()}")
        check(service.stop() == 0, "and ends with status 0")


def configure(root):
    """What an operator does after the installation."""
    text = root.read(CONFIGURATION).replace("interface = any", f"interface = {RELAY4}; {RELAY6}")
    with open(root.at(CONFIGURATION), "w", encoding="utf-8") as file:
        file.write(text.replace("log-level = 6", "log-level = 6\ndelete-delay = 0"))


def kamailio_call(root, what):
    with Lab() as lab:
        lab.masquerade()
        service = Service(root, lab)
        check(service.is_up, f"{what}: the service is up")
        if not service.is_up:
            return
        lab.start_kamailio("kamailio.cfg")
        result = calls.call(lab, service, what)
        failed = calls.report(lab, result, f"a call through Kamailio {what}", True)
        check(not failed, f"a call through Kamailio {what}")
        who_may(root)
        check(service.stop() == 0, f"{what}: it ends with status 0")


def who_may(root):
    """Members of rtpferryctl may use rtpferryctl and see no recordings; others may not."""
    for name in ("carol", "mallory"):
        root.run("useradd", "--no-create-home", name, check=False)
    root.run("usermod", "--append", "--groups", "rtpferryctl", "carol")
    def as_user(name, *words):
        return root.run("setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", *words, check=False)
    check(as_user("carol", "rtpferryctl", "ready").returncode == 0, "a member of rtpferryctl may use rtpferryctl")
    check(as_user("mallory", "rtpferryctl", "ready").returncode == 3, "somebody else may not")
    check(as_user("carol", "ls", "/var/lib/rtpferry").returncode != 0, "nor does a member see what the daemon keeps")
    check(as_user("mallory", "cat", CONFIGURATION).returncode != 0, "and nobody else reads the configuration")
    for name in ("carol", "mallory"):
        root.run("userdel", name)


def profile(root, directory):
    """What the daemon does with files, in a start with recordings and a reload, against the profile."""
    if shutil.which("strace") is None or shutil.which("apparmor_parser") is None:
        print("skipped  AppArmor's profile against the daemon: strace and apparmor_parser are not installed")
        return
    kept = root.read(CONFIGURATION)
    text = kept.replace("#recording-dir =", "recording-dir =").replace("#listen-http = ", "listen-http = ").replace("#record-all = yes", "record-all = yes")
    with open(root.at(CONFIGURATION), "w", encoding="utf-8") as file:
        file.write(text)
    trace = os.path.join(directory, "trace")
    with Lab() as lab:
        service = Service(root, lab, trace)
        check(service.is_up, "the service is up under strace, with recordings")
        if not service.is_up:
            return
        lab.start_kamailio("kamailio.cfg")
        calls.call(lab, service, "traced")
        service.ctl("doctor")
        # The child of strace, and no other daemon of this host.
        daemon = output("pgrep", "-o", "-P", str(service.process.pid))
        os.kill(int(daemon), 1)
        service.manager.wait_for("RELOADING=1", 10)
        check(service.manager.wait_for("READY=1", 10), "it reads its configuration again")
        os.kill(int(daemon), 15)
        service.process.wait(20)
        service.manager.close()
    with open(root.at(CONFIGURATION), "w", encoding="utf-8") as file:
        file.write(kept)
    rules = apparmor_rules.Profile(apparmor_rules.preprocessed(os.path.join(TOP, "packaging", "apparmor", "usr.sbin.rtpferryd")))
    with open(trace, encoding="utf-8", errors="replace") as file:
        text = file.read()
    # The profile begins with the daemon itself.
    text = text[text.index('/usr/sbin/rtpferryd"'):] if '/usr/sbin/rtpferryd"' in text else text
    seen = set((path, frozenset(rights)) for path, rights in apparmor_rules.accesses(text, root.path))
    denied = sorted(f"{path} {''.join(sorted(rights))}" for path, rights in seen if path != "/run/notify" and not rules.allows(path, set(rights)))
    check(len(seen) > 20 and not denied, f"AppArmor's profile allows all {len(seen)} accesses to files that were seen {denied or ''}")
    check(not rules.allows("/home/x/secret", {"r"}) and not rules.allows("/etc/rtpferry/rtpferry.conf", {"w"}) and not rules.allows("/root/x", {"r"}),
          "and no others, such as /home, /root and writing the configuration")


def newer(package, version, directory):
    """The same package under a higher version."""
    tree, file = os.path.join(directory, "newer"), os.path.join(directory, "newer.deb")
    output("dpkg-deb", "-R", package, tree)
    control = os.path.join(tree, "DEBIAN", "control")
    with open(control, encoding="utf-8") as old:
        text = old.read()
    with open(control, "w", encoding="utf-8") as new:
        new.write(re.sub(r"^Version: .*$", f"Version: {version}", text, flags=re.MULTILINE))
    output("dpkg-deb", "--root-owner-group", "-b", tree, file)
    return file


def upgrade(root, package, version, directory):
    mine = root.read(CONFIGURATION)
    shutil.copy(newer(package, version + "+newer", directory), root.at("/tmp/newer.deb"))
    # A choice of the operator about rights.
    os.chmod(root.at("/etc/rtpferry"), 0o700)
    root.run("apt-get", "install", "-y", "--no-install-recommends", "/tmp/newer.deb")
    check(root.run("dpkg-query", "-W", "-f", "${Version}", "rtpferry").stdout == version + "+newer", "the package is upgraded")
    check(root.read(CONFIGURATION) == mine and os.stat(root.at("/etc/rtpferry")).st_mode & 0o777 == 0o700,
          "the operator's configuration and its rights are as they were")
    os.chmod(root.at("/etc/rtpferry"), 0o750)


def other_packages(root, found):
    for name in ("rtpferry-plugins-gpl", "rtpferry-dpdk"):
        shutil.copy(found[name], root.at(f"/tmp/{name}.deb"))
    shutil.copy(found["rtpferry"], root.at("/tmp/rtpferry.deb"))
    root.run("apt-get", "install", "-y", "--no-install-recommends", "--allow-downgrades", "/tmp/rtpferry.deb", "/tmp/rtpferry-plugins-gpl.deb",
             "/tmp/rtpferry-dpdk.deb")
    codecs = root.run("rtpferryd", "--codecs").stdout
    row = next((line for line in codecs.splitlines() if "G729" in line), "")
    check("bcg729" in row or "plug" in row or row.count("yes") >= 2, f"rtpferry-plugins-gpl: the daemon has G.729: {' '.join(row.split())}")
    said = root.run("rtpferryd-dpdk", "--config-file=none", "--interface=127.0.0.1", "--engine=dpdk", "--check-config", check=False)
    check("not part of this build" not in said.stdout + said.stderr, "rtpferry-dpdk: the daemon has the engine dpdk")
    said = root.run("rtpferryd", "--config-file=none", "--interface=127.0.0.1", "--engine=dpdk", "--check-config", check=False)
    check("not part of this build" in said.stdout + said.stderr, "and that of rtpferry says that it has not")
    check(not os.path.exists(root.at("/etc/systemd/system/multi-user.target.wants/rtpferry-dpdk.service")), "its unit is not enabled")
    root.run("apt-get", "purge", "-y", "rtpferry-plugins-gpl", "rtpferry-dpdk")


def leavings(root, before):
    """Paths that no package has and that were not there before."""
    owned = set()
    for name in glob.glob(root.at("/var/lib/dpkg/info/*.list")):
        with open(name, encoding="utf-8") as file:
            owned |= set(file.read().split("\n"))
    owned |= {each.replace("/lib", "/usr/lib", 1) for each in owned if each.startswith("/lib")}
    owned |= {each.replace("/usr/lib", "/lib", 1) for each in owned if each.startswith("/usr/lib")}
    return sorted(each for each in root.files() - before - owned if not OF_DEBIAN.match(each))


def purge(root, before):
    keepsake = root.at("/var/lib/rtpferry/recordings/call.wav")
    os.makedirs(os.path.dirname(keepsake), exist_ok=True)
    with open(keepsake, "w", encoding="utf-8") as file:
        file.write("a recording")
    sound = root.at("/var/lib/rtpferry/sounds/welcome.wav")
    os.makedirs(os.path.dirname(sound), exist_ok=True)
    with open(sound, "w", encoding="utf-8") as file:
        file.write("a sound")
    root.run("apt-get", "remove", "-y", "rtpferry")
    check(os.path.exists(root.at(CONFIGURATION)) and not os.path.exists(root.at("/usr/sbin/rtpferryd")), "remove keeps the configuration")
    said = root.run("apt-get", "purge", "-y", "rtpferry").stdout
    check(os.path.exists(keepsake) and os.path.exists(sound) and "kept what is in" in said, "purge keeps recordings and sounds, and says so")
    shutil.rmtree(root.at("/var/lib/rtpferry"))
    root.run("apt-get", "install", "-y", "--no-install-recommends", "/tmp/rtpferry.deb")
    bare_root.Unit(root.read(UNIT)).state_folder(root)
    os.makedirs(root.at("/var/lib/rtpferry/recordings/2026/12"))
    root.run("apt-get", "purge", "-y", "rtpferry")
    root.run("apt-get", "autoremove", "--purge", "-y")
    left = [each for each in leavings(root, before)]
    named = [each for each in left if "rtpferry" in each]
    check(not named, f"purge leaves nothing of rtpferry {named or ''}")
    check(not left, f"and nothing else that no package has {left[:10] or ''}")
    # Their numbers shall not be given to others: see debian/rtpferry.postrm.
    check("rtpferry:" in root.read("/etc/passwd"), "but for the user, who owns what may lie elsewhere")


def reproduce(found, folder):
    """A second build in another place, at another time, by compilers and not by ccache."""
    with tempfile.TemporaryDirectory(prefix="ferry-again-") as again:
        built = subprocess.run([os.path.join(TOP, "packaging", "make_deb.sh"), str(os.cpu_count()), again], capture_output=True, text=True,
                               env={**os.environ, "CCACHE_DISABLE": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C"})
        check(built.returncode == 0, f"the second build {built.stderr[-1000:]}")
        for path in sorted([*found.values(), *glob.glob(os.path.join(folder, "*.orig.tar.gz")), *glob.glob(os.path.join(folder, "*.debian.tar.xz"))]):
            other = os.path.join(again, os.path.basename(path))
            same = os.path.exists(other) and output("sha256sum", path).split()[0] == output("sha256sum", other).split()[0]
            check(same, f"two builds made the same {os.path.basename(path)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", default=os.path.join(TOP, "build", "deb"), help="folder with the packages (build/deb)")
    parser.add_argument("--reproduce", action="store_true", help="build once more and compare; takes as long as the first build without ccache")
    arguments = parser.parse_args()
    try:
        need("chroot", "unshare", "mmdebstrap", "dpkg-deb", "setpriv", "kamailio", "sipp", "sox", "tshark", "tcpdump", "nft", "ip", "pgrep")
        bare_root.alone(os.path.realpath(__file__))
        changelog = os.path.join(TOP, "packaging", "debian", "changelog")
        version = output("dpkg-parsechangelog", "-l", changelog, "-S", "Version")
        architecture = output("dpkg", "--print-architecture")
        found = packages(arguments.packages, version, architecture)
        with tempfile.TemporaryDirectory(prefix="ferry-deb-") as directory, \
                bare_root.debian(os.path.join(arguments.packages, f"{bare_root.SUITE}.tar")) as root:
            before = root.files()
            shutil.copy(found["rtpferry"], root.at("/tmp/rtpferry.deb"))
            start = time.monotonic()
            root.run("apt-get", "update")
            root.run("apt-get", "install", "-y", "--no-install-recommends", "/tmp/rtpferry.deb")
            print(f"         installed after {bare_root.seconds_since(start):.0f} s", flush=True)
            contents(root, version)
            default_start(root)
            configure(root)
            kamailio_call(root, "after the installation")
            taken = bare_root.seconds_since(start)
            check(taken < MOST_SECONDS, f"from `apt install` to the end of the first call: {taken:.0f} s of {MOST_SECONDS} s, without a compiler")
            profile(root, directory)
            upgrade(root, found["rtpferry"], version, directory)
            kamailio_call(root, "after the upgrade")
            other_packages(root, found)
            purge(root, before)
        lintian(found, os.path.join(arguments.packages, f"rtpferry_{version}_{architecture}.changes"))
        if arguments.reproduce:
            reproduce(found, arguments.packages)
        return exit_status()
    except Skip as why:
        print(f"SKIP: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
