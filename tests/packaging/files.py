#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the packages are made of, as far as it shows without building one: the default configuration starts, the account files
make what the unit wants, AppArmor's profile is one, debian/control names what the programs are linked with, every file that a
package wants is installed by CMake, the image and the manifest fit the daemon.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.realpath(os.path.join(HERE, "..", ".."))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(TOP, "tools")]
import licences  # noqa: E402 (needs the path)
from notified import Notified  # noqa: E402
from verdict import check, exit_status  # noqa: E402

PACKAGING = os.path.join(TOP, "packaging")
DEBIAN = os.path.join(PACKAGING, "debian")
# What runs a build, and belongs to nobody's libraries; and what only machines of developers need.
NO_PACKAGE_NEEDS = {"g++", "make", "ccache", "python3", "libgtest-dev", "libgmock-dev", "librapidcheck-dev"}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, **options)


def skipped(why):
    print(f"skipped  {why}")


def paragraphs(text):
    """Fields of each paragraph of a file in the form of debian/control."""
    for part in re.split(r"\n\n+", text.strip()):
        yield {match[1]: match[2].strip() for match in re.finditer(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", part, re.MULTILINE)}


def build_depends():
    first = next(iter(paragraphs(read(DEBIAN, "control"))))
    return {re.match(r"[\w.+-]+", each.strip())[0] for each in first["Build-Depends"].split(",") if each.strip()}


def versions():
    cmake = re.search(r"project\(rtpferry VERSION ([\d.]+)", read(TOP, "CMakeLists.txt"))[1]
    package = re.match(r"rtpferry \(([^)]+)\)", read(DEBIAN, "changelog"))[1]
    check(package.rsplit("-", 1)[0] == cmake, f"debian/changelog is about version {cmake}: {package}")
    manifest = read(PACKAGING, "kubernetes", "rtpferry.yaml")
    check(f"rtpferry:{package}" in manifest, f"the manifest runs the image of {package}")


def accounts():
    """sysusers.d and tmpfiles.d in an empty root."""
    if os.geteuid() != 0 or not all(shutil.which(name) for name in ("systemd-sysusers", "systemd-tmpfiles")):
        return skipped("accounts: needs root, systemd-sysusers and systemd-tmpfiles")
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "etc"))
        made = run("systemd-sysusers", f"--root={root}", os.path.join(PACKAGING, "rtpferry.sysusers"))
        check(made.returncode == 0, f"systemd-sysusers takes the file {made.stderr.strip()}")
        users = dict(line.split(":", 1) for line in read(root, "etc", "passwd").splitlines())
        groups = {line.split(":")[0]: int(line.split(":")[2]) for line in read(root, "etc", "group").splitlines()}
        check("rtpferry" in users and users["rtpferry"].endswith("nologin"), "there is a user rtpferry, who cannot log in")
        made = run("systemd-tmpfiles", f"--root={root}", "--create", os.path.join(PACKAGING, "rtpferry.tmpfiles"))
        info = os.stat(os.path.join(root, "run", "rtpferry")) if made.returncode == 0 else None
        check(info is not None and info.st_mode & 0o7777 == 0o2755 and info.st_gid == groups["rtpferryctl"],
              f"/run/rtpferry gives its group rtpferryctl to sockets {made.stderr.strip()}")
    unit = read(PACKAGING, "rtpferry.service")
    check("\nType=notify\n" in unit and "\nUser=rtpferry\nGroup=rtpferry\n" in unit, "the unit is Type=notify and runs as that user")


def profile():
    if shutil.which("apparmor_parser") is None:
        return skipped("AppArmor: apparmor_parser is not installed")
    file = os.path.join(PACKAGING, "apparmor", "usr.sbin.rtpferryd")
    parsed = run("apparmor_parser", "-QK", file)
    check(parsed.returncode == 0, f"apparmor_parser takes the profile {parsed.stderr.strip() if parsed.returncode else ''}")
    text = read(file)
    kept = re.findall(r'CapabilityRow\{\s*CAP_\w+,\s*"CAP_(\w+)"', read(TOP, "tools/rtpferryd/rights.cpp"))
    helper = re.findall(r"CAP_(\w+)", re.search(r"keep_only\(std::array\{([A-Z_, ]+)\}\)", read(TOP, "relay/bpf/helper.cpp"))[1])
    missing = [name for name in kept + helper if f"capability {name.lower()}," not in text]
    check(kept and helper and not missing, f"the profile leaves the capabilities that daemon and helper keep {missing or ''}")


def default_configuration(build):
    """The file as it is packaged, in a network with one address. It starts, says so to the service manager, and ends."""
    daemon, file = os.path.join(build, "rtpferryd"), os.path.join(PACKAGING, "rtpferry.conf")
    inside = "ip link set lo up && ip link add d0 type veth peer name d1 && ip addr add 192.0.2.1/24 dev d0 && ip link set d0 up && exec \"$@\""
    network = ["unshare", "--net", "sh", "-c", inside, "sh"]
    if os.geteuid() != 0 or run(*network, "true").returncode != 0:
        return skipped("default configuration: needs root and a network namespace")
    checked = run(*network, daemon, f"--config-file={file}", "--check-config")
    check("configuration is good" in checked.stdout, f"the default configuration is good {checked.stderr.strip()}")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        manager = Notified(os.path.join(directory, "notify"))
        with open(os.path.join(directory, "log"), "w+") as log:
            process = subprocess.Popen([*network, daemon, f"--config-file={file}", f"--control-socket={directory}/rtpferry/control.sock"],
                                       env={**os.environ, "NOTIFY_SOCKET": manager.path}, stdout=log, stderr=log)
            try:
                check(manager.wait_for("READY=1", 20), "it starts and says READY=1")
                process.send_signal(signal.SIGHUP)
                check(manager.wait_for("RELOADING=1", 10) and manager.wait_for("READY=1", 10), "SIGHUP: RELOADING=1, then READY=1")
                process.send_signal(signal.SIGTERM)
                check(process.wait(10) == 0 and manager.wait_for("STOPPING=1", 1), "SIGTERM: STOPPING=1, and status 0")
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
                log.seek(0)
                text = log.read()
            errors = [line for line in text.splitlines() if re.search(r"\berror\b", line)]
            check(not errors, f"without an error in its log {errors or ''}")
        manager.close()


def needed(program):
    """Names of the libraries that a program is linked with."""
    return re.findall(r"NEEDED\s+(\S+)", run("objdump", "-p", program).stdout)


def dependencies(build):
    wanted = set(re.findall(r"[\w.+-]+", " ".join(re.findall(r"^(?:run|build)(?:\+)?=\(([^)]*)\)", read(TOP, "tools/setup.sh"), re.MULTILINE))))
    wanted |= set(re.findall(r"build\+=\(([\w.+-]+)\)", read(TOP, "tools/setup.sh")))
    wanted -= NO_PACKAGE_NEEDS | {"run"}
    present = build_depends()
    missing = sorted(each for each in wanted if each not in present and not each.startswith("$"))
    check(len(wanted) > 30 and not missing, f"debian/control has the {len(wanted)} packages that tools/setup.sh builds with {missing or ''}")
    if shutil.which("objdump") is None or shutil.which("dpkg") is None:
        return skipped("linked libraries: objdump and dpkg are not installed")
    # A -dev package may bring another one.
    brought = set()
    for name in present:
        brought |= set(re.findall(r"[\w.+-]+-dev", run("dpkg-query", "-W", "-f", "${Depends}", name).stdout))
    libraries, strangers = set(), []
    for name in ("rtpferryd", "rtpferryctl", "rtpferry-rtpproxy"):
        libraries |= set(needed(os.path.join(build, name)))
    for library in sorted(libraries):
        if re.match(r"(libc|libm|libgcc_s|libstdc\+\+|ld-linux.*)\.so", library):
            continue
        stem = re.sub(r"(-[\d.]+)?\.so\..*", "", library)
        owners = run("dpkg", "-S", f"*/{stem}.so").stdout
        owners = {line.split(":")[0] for line in owners.splitlines()}
        if not owners & (present | brought):
            strangers.append(library)
    check(len(libraries) > 20 and not strangers, f"debian/control has what {len(libraries)} linked libraries come from {strangers or ''}")


def installed(build):
    """What CMake installs has each file that a package wants, and nothing that no package takes."""
    with tempfile.TemporaryDirectory() as root:
        done = run("cmake", "--install", os.path.dirname(build), env={**os.environ, "DESTDIR": root})
        if done.returncode != 0:
            return check(False, f"cmake --install: {done.stderr.strip()[-500:]}")
        found = {os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names}
        apart = os.path.join(root, "usr/sbin/rtpferryd-dpdk")
        taken = set()
        for file in sorted(glob.glob(os.path.join(DEBIAN, "*.install")) + [os.path.join(DEBIAN, "not-installed")]):
            for line in read(file).splitlines():
                pattern = line.split()[0]
                if pattern.startswith("packaging/"):
                    check(os.path.exists(os.path.join(TOP, pattern)), f"{os.path.basename(file)}: {pattern} is in the source")
                    continue
                if pattern.endswith("rtpferryd-dpdk") and not os.path.exists(apart):
                    check("rtpferryd-dpdk" in read(TOP, "CMakeLists.txt"), "CMake installs rtpferryd-dpdk where it is built")
                    continue
                hits = {os.path.relpath(each, root) for each in glob.glob(os.path.join(root, pattern))}
                if pattern.endswith("*.so") and not hits and not glob.glob(os.path.join(os.path.dirname(build), "plugins", "*.so")):
                    continue
                check(bool(hits), f"{os.path.basename(file)}: {pattern}")
                taken |= {each for each in found if any(each == hit or each.startswith(hit + "/") for hit in hits)}
        # The library folder of a Debian package has the machine in it, the usual one may not.
        left = {each for each in found - taken if not each.endswith(".so")}
        check(not left, f"a package takes every installed file {sorted(left) or ''}")


def copyright_file():
    text = read(DEBIAN, "copyright")
    used, explained = set(), set()
    for fields in paragraphs(text):
        if "License" in fields and "Files" in fields:
            used |= set(fields["License"].split("\n")[0].split(" or "))
        elif "License" in fields:
            explained.add(fields["License"].split("\n")[0])
    check(used and used <= explained, f"debian/copyright has the text of {sorted(used)} {sorted(used - explained) or ''}")
    listed = set(re.search(r"Files: (relay/bpf[^\n]*(?:\n +[^\n]*)*)", text)[1].split())
    kernel = {path for path in licences.sources(TOP) if licences.KERNEL_FILES.match(path)} if os.path.exists(os.path.join(TOP, ".git")) else set()
    covered = {path for path in kernel for pattern in listed if re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*"), path)}
    check(covered == kernel, f"and the licence of the kernel's programs for {len(kernel)} files {sorted(kernel - covered) or ''}")


def options_of(build):
    """Names of the daemon's options."""
    return set(re.findall(r"--([a-z0-9-]+)", run(os.path.join(build, "rtpferryd"), "--help").stdout))


def image(build):
    text = read(PACKAGING, "oci", "Containerfile")
    copied = re.findall(r"^COPY (\S+)", text, re.MULTILINE)
    check(copied == ["rtpferry_*.deb"] and "rtpferry_" in read(PACKAGING, "make_image.sh"), f"the image copies the package alone {copied}")
    user = re.search(r"^USER (\d+):(\d+)$", text, re.MULTILINE)
    check(user is not None and f"--uid {user[1]}" in text, "it runs as a user with a fixed number")
    words = re.findall(r"--([a-z-]+)=", re.search(r"^CMD (.*)$", text, re.MULTILINE)[1])
    check(words and set(words) <= options_of(build), f"its options are known {words}")
    programs = set(re.findall(r'"/(usr/s?bin/[\w-]+)"', text))
    packed = " ".join(line.split()[0] for line in read(DEBIAN, "rtpferry.install").splitlines())
    check(programs == {"usr/sbin/rtpferryd", "usr/bin/rtpferryctl"} and "usr/sbin/rtpferryd" in packed and "usr/bin" in packed,
          f"the package has its programs {sorted(programs)}")


def manifest(build):
    try:
        import yaml
    except ImportError:
        return skipped("manifest: python3-yaml is not installed")
    documents = {each["kind"]: each for each in yaml.safe_load_all(read(PACKAGING, "kubernetes", "rtpferry.yaml"))}
    check(set(documents) == {"ConfigMap", "Service", "NetworkPolicy", "PodDisruptionBudget", "StatefulSet"}, f"the manifest is one {sorted(documents)}")
    stateful = documents["StatefulSet"]["spec"]
    pod = stateful["template"]["spec"]
    labels = stateful["template"]["metadata"]["labels"]
    check(stateful["selector"]["matchLabels"] == labels == documents["Service"]["spec"]["selector"]
          == documents["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
          == documents["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"], "every selector finds the pods")
    commands, media = documents["NetworkPolicy"]["spec"]["ingress"]
    check("from" in commands and [each["port"] for each in commands["ports"]] == [2223] and "from" not in media,
          "pods with a label may command it, and media comes from anywhere")
    check(stateful["serviceName"] == documents["Service"]["metadata"]["name"], "the pods have names")
    (container,) = pod["containers"]
    volumes = {each["name"] for each in pod["volumes"]}
    check({each["name"] for each in container["volumeMounts"]} == volumes, f"volumes are mounted {sorted(volumes)}")
    user = re.search(r"^USER (\d+):", read(PACKAGING, "oci", "Containerfile"), re.MULTILINE)[1]
    check(pod["securityContext"]["runAsUser"] == int(user) and container["securityContext"]["capabilities"]["drop"] == ["ALL"],
          "it runs as the user of the image, without capabilities")
    known = set(re.findall(r"^  ([a-z-]+)", run(os.path.join(build, "rtpferryctl"), "--help").stdout, re.MULTILINE))
    stop = container["lifecycle"]["preStop"]["exec"]["command"][-1]
    check("rtpferryctl drain;" in stop and pod["terminationGracePeriodSeconds"] >= 600 and "drain" in known, "it drains before it stops")
    check(container["readinessProbe"]["exec"]["command"] == ["/usr/bin/rtpferryctl", "ready"] and "ready" in known, "it is ready until it drains")
    ports = {each["containerPort"]: each for each in container["ports"]}
    variables = {"POD_IP": "127.0.0.1", "HOST_IP": "192.0.2.1"}
    check({each["name"] for each in container["env"]} == set(variables), "and its variables are there")
    arguments = [re.sub(r"\$\((\w+)\)", lambda match: variables[match[1]], each) for each in container["args"][1:]]
    text = documents["ConfigMap"]["data"]["rtpferry.conf"]

    def checked(configuration):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write(configuration)
            file.flush()
            return run(os.path.join(build, "rtpferryd"), f"--config-file={file.name}", *arguments, "--check-config", "--control-socket=none")

    unset = checked(text)
    check(unset.returncode != 0 and "control-allow" in unset.stderr, "it does not start before somebody says who may command it")
    named = checked(text.replace("NETWORKS-OF-YOUR-PROXIES", "10.1.2.0/24"))
    check("configuration is good" in named.stdout, f"its configuration is good {named.stderr.strip()}")
    one_port = int(re.search(r"^ice-port = (\d+)$", text, re.MULTILINE)[1])
    check(ports[one_port].get("hostPort") == one_port and ports[one_port]["protocol"] == "UDP", f"browsers reach it at one port of the node, {one_port}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    build = os.path.realpath(parser.parse_args().build)
    if not os.path.exists(os.path.join(build, "rtpferryd")):
        print(f"skipped  there is no {build}/rtpferryd: make build")
        return 77
    versions()
    accounts()
    profile()
    default_configuration(build)
    dependencies(build)
    installed(build)
    copyright_file()
    image(build)
    manifest(build)
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
