#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the daemon may do once it runs (CTL-16, CTL-17, PRC-1): its user, capabilities, filter, signals, files read again; hooks; the end of its helper.

Exit status: 0 passed, 1 failed, 77 this machine cannot run it (and why).
"""

import argparse
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request

import lab
from daemon import SDP, Daemon, ask, udp
from lab import ALICE, BOB, Lab, Relay, Skip, inside, run, wait_for
from offload import Call, Party, engines, socket_in
from verdict import check, exit_status

PORT = 2481
# What ends the process or stops it by design, and what the kernel does not let a process ignore.
MEANT = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL, signal.SIGSTOP, signal.SIGQUIT, signal.SIGABRT, signal.SIGILL, signal.SIGFPE,
         signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP, signal.SIGSYS, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


def usual_user():
    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return known.get("rtpferry", known.get("nobody", 65534))


def status(pid, thread=None):
    path = f"/proc/{pid}/status" if thread is None else f"/proc/{pid}/task/{thread}/status"
    with open(path) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def is_alive(s):
    """It answers."""
    return ask(s, f"p{time.monotonic_ns()} " + json.dumps({"command": "ping"})).endswith(b'{"result":"pong"}')


def open_folder():
    """A folder that everybody may enter, as those of a host are."""
    path = lab.temporary("ferry-privileges-")
    os.chmod(path, 0o755)
    return path


def identity(program):
    folder = open_folder()
    for what, options, uid, capabilities in (
            ("root without a name", (), usual_user(), 0),
            ("root that becomes nobody", ("--user=nobody",), pwd.getpwnam("nobody").pw_uid, 0),
            ("root by name", ("--user=root",), 0, 0b1011),
            ("a port below 1024", ("--user=nobody", "--listen-tcp-ng=127.0.0.1:981"), pwd.getpwnam("nobody").pw_uid, 0)):
        daemon = Daemon(program, "--config-file=none", "--interface=127.0.0.1", f"--control-socket={folder}/{uid}/control.sock", "--num-threads=2",
                        f"--listen-ng=127.0.0.1:{PORT}", f"--recording-dir={folder}/recordings-{uid}", *options, defaults=False)
        pid = daemon.process.pid
        for thread in os.listdir(f"/proc/{pid}/task"):
            facts = status(pid, thread)
            good = (facts["Uid"].split() == [str(uid)] * 4 and facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1" and
                    int(facts["CapEff"], 16) == capabilities and facts["CapAmb"].strip("0") == "" and facts["CapInh"].strip("0") == "")
            if not good:
                break
        check(good, f"CTL-17: {what}: every thread is user {uid} with a filter and capabilities {facts['CapEff']}")
        owners = {name: os.stat(f"{folder}/{name}").st_uid for name in (str(uid), f"recordings-{uid}")}
        check(set(owners.values()) == {uid}, f"CTL-17: {what}: the folders that it made are its own")
        code, _ = daemon.stop()
        check(code == 0 and not os.path.exists(f"{folder}/{uid}/control.sock"), f"CTL-17: {what}: it ends in order")
        shutil.rmtree(f"{folder}/{uid}")
        shutil.rmtree(f"{folder}/recordings-{uid}")


def folders_of_root(program):
    folder = open_folder()
    recordings = os.path.join(folder, "recordings")
    os.mkdir(recordings)
    open(os.path.join(recordings, "old"), "w").close()
    result = subprocess.run([program, "--config-file=none", "--interface=127.0.0.1", "--control-socket=none", f"--listen-ng=127.0.0.1:{PORT}",
                             f"--recording-dir={recordings}", "--user=nobody"], capture_output=True, text=True, timeout=20)
    check(result.returncode == 1 and recordings in result.stderr and "chown" in result.stderr and "user=root" in result.stderr,
          "CTL-17: a user who was named and may not write is told which folder and both ways out")


def every_signal(program):
    daemon = Daemon(program, f"--listen-ng=127.0.0.1:{PORT}")
    s = udp("127.0.0.1", PORT)
    died_of = None
    for number in range(1, signal.SIGRTMAX + 1):
        if number in MEANT or 32 <= number < signal.SIGRTMIN:  # those between are the C library's own
            continue
        daemon.process.send_signal(number)
        if daemon.process.poll() is not None or not is_alive(s):
            died_of = number
            break
    check(died_of is None, f"CTL-16: it goes on after every signal that has no meaning {died_of or ''}")
    code, _ = daemon.stop()
    check(code == 0, "CTL-16: and ends by SIGTERM afterwards")


def make_certificate(folder, name):
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
        "-keyout", f"{folder}/key.pem", "-out", f"{folder}/cert.pem")


def shown_name(port):
    """Common name of the certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain) as s:
        der = s.getpeercert(binary_form=True)
    return run("openssl", "x509", "-noout", "-subject", "-nameopt", "multiline", input=ssl.DER_cert_to_PEM_cert(der)).stdout.split("=")[-1].strip()


def http_status(port, token):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/ping", headers={"Authorization": f"Bearer {token}"})
    try:
        return urllib.request.urlopen(request, timeout=5).status
    except urllib.error.HTTPError as error:
        return error.code


def read_again(program, folder_mode):
    """Certificate, token and limits at SIGHUP; what cannot be read stays. `folder_mode`: the folder is root's alone, or not."""
    folder = lab.temporary("ferry-again-")
    os.chmod(folder, folder_mode)
    config = os.path.join(folder, "conf")

    def write(token):
        with open(config, "w") as f:
            f.write(f"[rtpferry]\ninterface = 127.0.0.1\nlisten-ng = 127.0.0.1:{PORT}\ncontrol-socket = none\nlisten-http = 127.0.0.1:{PORT + 1}\n"
                    f"listen-https = 127.0.0.1:{PORT + 2}\nhttps-cert = {folder}/cert.pem\nhttps-key = {folder}/key.pem\nhttp-token = {token}\n")

    def hang_up(words):
        told = len(daemon.lines)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any(words in line for line in daemon.lines[told:]), 5, words)

    what = f"in a folder of mode {folder_mode:o}"
    write("first")
    make_certificate(folder, "first")
    os.chmod(f"{folder}/key.pem", 0o644)
    daemon = Daemon(program, f"--config-file={config}", defaults=False)
    before = shown_name(PORT + 2), http_status(PORT + 1, "first"), http_status(PORT + 1, "second")
    write("second")
    make_certificate(folder, "second")
    os.chmod(f"{folder}/key.pem", 0o644)
    hang_up("certificate of")
    after = shown_name(PORT + 2), http_status(PORT + 1, "first"), http_status(PORT + 1, "second")
    check(before == ("first", 200, 401) and after == ("second", 401, 200), f"CTL-16: {what}: SIGHUP reads certificate and token again {before} {after}")
    with open(f"{folder}/cert.pem", "w") as f:
        f.write("no certificate")
    hang_up("certificate not read again, the one of before stays")
    check(shown_name(PORT + 2) == "second", f"CTL-16: {what}: a certificate that is none leaves the old one")
    os.unlink(f"{folder}/cert.pem")
    os.unlink(config)
    hang_up("configuration not read again")
    check((shown_name(PORT + 2), http_status(PORT + 1, "second"), http_status(PORT + 1, "first")) == ("second", 200, 401),
          f"CTL-16: {what}: files that are gone leave certificate and token as they were")
    daemon.stop()


def hook(program):
    folder = open_folder()
    script, seen = os.path.join(folder, "hook"), os.path.join(folder, "seen")
    with open(script, "w") as f:
        f.write(f"#!/bin/sh\ngrep -E '^(Uid|CapPrm|CapEff|NoNewPrivs|PPid)' /proc/self/status > {seen}.part; echo \"$1\" >> {seen}.part; mv {seen}.part {seen}\n")
    os.chmod(script, 0o755)
    os.chmod(folder, 0o777)
    daemon = Daemon(program, "--config-file=none", "--interface=127.0.0.1", "--control-socket=none", f"--listen-ng=127.0.0.1:{PORT}",
                    f"--recording-dir={folder}/recordings", f"--state-dir={folder}/state", f"--recording-hook={script}", "--record-all=yes", "--delete-delay=0", defaults=False)
    s = udp("127.0.0.1", PORT)
    for command, keys in (("offer", {"from-tag": "a", "sdp": SDP}), ("answer", {"from-tag": "a", "to-tag": "b", "sdp": SDP}), ("delete", {"from-tag": "a"})):
        ask(s, f"{command} " + json.dumps({"command": command, "call-id": "hooked", **keys}))
    try:
        wait_for(lambda: os.path.exists(seen), 15, "the hook")
        text = open(seen).read()
    except RuntimeError as why:
        text = f"{why}: {daemon.text()[-600:]}"
    check(f"Uid:\t{usual_user()}\t" in text and "CapPrm:\t0000000000000000" in text and "NoNewPrivs:\t1" in text and ".json" in text,
          "CTL-17: a hook runs by the launcher, as the daemon's user and without a capability" + ("" if "Uid" in text else f" {text}"))
    daemon.stop()


def helper_killed(build):
    with Lab() as network:
        relay = Relay(network, build, "--offload=c-alice=tc", "--offload=c-bob=tc", "--listen-http=127.0.0.1:2483")
        control = socket_in("core", "127.0.0.1")
        control.connect(("127.0.0.1", 2223))
        call = Call(control, Party("alice", ALICE, 1), Party("bob", BOB, 2))
        call.reach_kernel(relay, "both streams")
        helper = engines(relay)["helper"]["pid"]
        facts = status(helper)
        check(facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1" and facts["Uid"].split() == ["65534"] * 4 and facts["CapEff"] == "000000c000001000",
              f"CTL-17: the helper is nobody, with a filter and capabilities {facts['CapEff']}")
        os.kill(helper, signal.SIGKILL)
        wait_for(lambda: "the helper process is gone" in network.log("relay.log"), 3, "the line in the log")
        to_a, to_b = call.talk(100)
        check(len(to_a) >= 99 and len(to_b) >= 99, f"CTL-17: the call goes on in user space: {len(to_a)} and {len(to_b)} of 100 packets each way")
        now = engines(relay)
        check(now["flows"] == 0 and not now["helper"]["running"] and {each["mode"] for each in now["offload"]} == {"off"} and
              all("helper process is gone" in each["reason"] for each in now["offload"]), f"CTL-17: engines says why nothing is in the kernel: {now['offload']}")
        metrics = run(*inside("core", "curl", "-s", "http://127.0.0.1:2483/metrics"), check=False).stdout
        check("rtpferry_offload_helper_up 0" in metrics, "CTL-17: the metric says so")
        later = Call(control, Party("alice", ALICE, 3), Party("bob", BOB, 4))
        to_a, to_b = later.talk(50)
        check(len(to_a) == 50 and len(to_b) == 50 and engines(relay)["flows"] == 0, "CTL-17: new calls are taken, in user space")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    build = os.path.abspath(parser.parse_args().build)
    program = os.path.join(build, "rtpferryd")
    try:
        every_signal(program)
        read_again(program, 0o755)
        read_again(program, 0o700)
        lab.need("ip", "curl")
        program = shutil.copy(program, open_folder())  # the build may lie where nobody else may look
        identity(program)
        folders_of_root(program)
        hook(program)
        helper_killed(build)
    except Skip as reason:
        print(f"skipped  {reason}")
        return exit_status() or 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
