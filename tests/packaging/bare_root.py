# SPDX-License-Identifier: Apache-2.0
"""A bare Debian below a folder, with its own /proc, /sys and /dev, and the service of a unit in it without systemd."""

import contextlib
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

SUITE = "bookworm"


def alone(program):
    """Runs this program anew in a mount namespace of its own, so that what it mounts goes with it."""
    if os.environ.get("FERRY_MOUNTS_ALONE") == "1":
        return
    os.environ["FERRY_MOUNTS_ALONE"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, program, *sys.argv[1:]])


def mount(*words):
    subprocess.run(["mount", *words], check=True)


class Root:
    def __init__(self, path):
        self.path = path
        for kind, there in (("proc", "proc"), ("sysfs", "sys")):
            os.makedirs(self.at("/" + there), exist_ok=True)
            mount("-t", kind, kind, self.at("/" + there))
        os.makedirs(self.at("/dev"), exist_ok=True)
        mount("--bind", "/dev", self.at("/dev"))

    def at(self, path):
        return self.path + path

    def read(self, path):
        with open(self.at(path), encoding="utf-8") as file:
            return file.read()

    def command(self, *words):
        return ["chroot", self.path, *words]

    def run(self, *words, check=True, **options):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}
        result = subprocess.run(self.command(*words), capture_output=True, text=True, env=environment, **options)
        if check and result.returncode != 0:
            raise RuntimeError(f"{' '.join(words)}: {result.stdout[-1500:]} {result.stderr[-1500:]}")
        return result

    def files(self):
        """Every path below the root, but for what is mounted there."""
        found = set()
        for folder, folders, names in os.walk(self.path):
            inside = folder[len(self.path):] or "/"
            if inside == "/":
                folders[:] = [each for each in folders if each not in ("proc", "sys", "dev")]
            found |= {os.path.join(inside, each) for each in folders + names}
        return found


@contextlib.contextmanager
def debian(cache):
    """A root with Debian's minimal set of packages. It is made once, of the mirror in apt's own lists, and kept as `cache`."""
    if not os.path.exists(cache):
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", SUITE, cache + ".new.tar"], capture_output=True, text=True)
        if made.returncode != 0:
            raise RuntimeError(f"mmdebstrap: {made.stderr[-1500:]}")
        os.rename(cache + ".new.tar", cache)
    path = tempfile.mkdtemp(prefix="ferry-root-")
    try:
        subprocess.run(["tar", "-xf", cache, "-C", path, "--exclude=./dev/*"], check=True)
        os.chmod(path, 0o755)
        shutil.copy("/etc/resolv.conf", path + "/etc/resolv.conf")
        root = Root(path)
        yield root
    finally:
        for there in ("dev", "sys", "proc"):
            subprocess.run(["umount", "--lazy", os.path.join(path, there)], capture_output=True)
        if not os.path.ismount(os.path.join(path, "dev")):
            shutil.rmtree(path, ignore_errors=True)


class Unit:
    """What a unit says about a process, as far as it can be done by hand."""

    def __init__(self, text):
        self.values = {}
        for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
            self.values[name] = value

    def state_folder(self, root):
        """StateDirectory=, which systemd makes before the start."""
        folder = "/var/lib/" + self.values["StateDirectory"]
        user = self.values["User"]
        root.run("install", "-d", "-o", user, "-g", self.values.get("Group", user), "-m", self.values["StateDirectoryMode"], folder)

    def command(self, root, notify, before=()):
        """ExecStart= as User=, with the capabilities and limits of the unit. `notify` is its NOTIFY_SOCKET."""
        def capabilities(option):
            return ",".join(["-all", *("+" + each[4:].lower() for each in self.values.get(option, "").split())])
        kept = capabilities("AmbientCapabilities")
        words = ["setpriv", f"--reuid={self.values['User']}", f"--regid={self.values['Group']}", "--init-groups", f"--inh-caps={kept}",
                 f"--ambient-caps={kept}", f"--bounding-set={capabilities('CapabilityBoundingSet')}"]
        if self.values["NoNewPrivileges"] == "yes":
            words.append("--no-new-privs")
        # Without the right to raise limits, a container's is taken.
        files = min(int(self.values["LimitNOFILE"]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        limits = ["prlimit", f"--nofile={files}", f"--core={self.values['LimitCORE']}"]
        shell = f"umask {self.values['UMask']}; exec \"$@\""
        return [*before, *root.command("env", "-i", f"NOTIFY_SOCKET={notify}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *limits, "sh", "-c", shell, "sh",
                                       *words, *self.values["ExecStart"].split())]


def seconds_since(start):
    return time.monotonic() - start
