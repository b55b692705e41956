#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dashboard and the alerts of `packaging`, judged by Prometheus: every name exists, every alert fires in its outage and not
without it, and every query runs on a Prometheus that scrapes a relay with a call.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(TOP, "tests", "e2e"))
from daemon import Daemon
from lab import Skip, temporary, wait_for
from parties import Ng, Party, Stage, port_of
from verdict import check, exit_status

DASHBOARD = os.path.join(TOP, "packaging", "grafana", "rtpferry.json")
RULES = os.path.join(TOP, "packaging", "prometheus", "rtpferry.rules.yml")
NG, HTTP, PROMETHEUS, GRAPHITE = 2481, 2482, 2483, 2484
RELAY = 'instance="relay1",job="rtpferry"'

# Alert -> the series of an outage, and of a time that looks like one and is none: "name{labels}" -> values a minute, as promtool
# writes them (begin+step×times). Each runs for 40 minutes, and the alert must be there, or not, at their end.
CASES = {
    "RtpferryDown": ({"up": "0x40"}, {"up": "1x40"}),
    "RtpferryRestarted": ({"rtpferry_uptime_seconds": "0+60x35 5+60x5"}, {"rtpferry_uptime_seconds": "0+60x40"}),
    "RtpferryNoRoom": ({'rtpferry_refused_requests_total{reason="ports"}': "0+60x40"}, {'rtpferry_refused_requests_total{reason="unknown-call"}': "0+60x40"}),
    "RtpferryAddressGone": ({'rtpferry_refused_requests_total{reason="address"}': "0+1x40"}, {'rtpferry_refused_requests_total{reason="address"}': "9x40"}),
    "RtpferryRequestErrors": ({"rtpferry_request_errors_total": "0+10x40", 'rtpferry_requests_total{command="offer"}': "0+100x40"},
                              {"rtpferry_request_errors_total": "0+1x40", 'rtpferry_requests_total{command="offer"}': "0+100x40"}),
    "RtpferryRequestsSlow": ({'rtpferry_request_seconds_bucket{command="offer",le="0.05"}': "0+90x40", 'rtpferry_request_seconds_bucket{command="offer",le="0.25"}': "0+100x40",
                              'rtpferry_request_seconds_bucket{command="offer",le="+Inf"}': "0+100x40"},
                             {'rtpferry_request_seconds_bucket{command="offer",le="0.001"}': "0+100x40", 'rtpferry_request_seconds_bucket{command="offer",le="+Inf"}': "0+100x40"}),
    "RtpferryPortsShort": ({'rtpferry_ports{interface="a",state="used"}': "800x40", 'rtpferry_ports{interface="a",state="resting"}': "100x40",
                            'rtpferry_ports{interface="a",state="free"}': "100x40"},
                           {'rtpferry_ports{interface="a",state="used"}': "500x40", 'rtpferry_ports{interface="a",state="free"}': "500x40"}),
    "RtpferryHearNothing": ({'rtpferry_calls_bad{hears="nothing"}': "10x40", "rtpferry_sessions": "100x40"},
                            {'rtpferry_calls_bad{hears="nothing"}': "10x40", "rtpferry_sessions": "1000x40"}),
    "RtpferryOneWayAudio": ({"rtpferry_streams_one_way_total": "0+2x40", 'rtpferry_sessions_closed_total{reason="regular"}': "0+10x40"},
                            {"rtpferry_streams_one_way_total": "0+1x40", 'rtpferry_sessions_closed_total{reason="regular"}': "0+100x40"}),
    "RtpferryLowMos": ({'rtpferry_stream_mos_bucket{le="3.6"}': "0+2x60", "rtpferry_stream_mos_count": "0+10x60"},
                       {'rtpferry_stream_mos_bucket{le="3.6"}': "0+2x60", "rtpferry_stream_mos_count": "0+100x60"}),
    "RtpferryReportedLoss": ({'rtpferry_rtcp_loss_ratio_sum_total{interface="a"}': "0+1x40", 'rtpferry_rtcp_reports_total{interface="a"}': "0+20x40"},
                             {'rtpferry_rtcp_loss_ratio_sum_total{interface="a"}': "0+0.1x40", 'rtpferry_rtcp_reports_total{interface="a"}': "0+20x40"}),
    "RtpferryDrops": ({'rtpferry_drops_total{reason="foreign-source"}': "0+1000x40", 'rtpferry_packets_total{engine="portable"}': "0+10000x40"},
                      {'rtpferry_drops_total{reason="foreign-source"}': "0+100x40", 'rtpferry_packets_total{engine="portable"}': "0+10000x40"}),
    "RtpferrySendErrors": ({'rtpferry_send_errors_total{error="no-route"}': "0+120x40"}, {'rtpferry_send_errors_total{error="no-route"}': "0+3x40"}),
    "RtpferryKernelHelperGone": ({"rtpferry_offload_helper_up": "0x40"}, {"rtpferry_offload_helper_up": "1x40"}),
    "RtpferryKernelIdle": ({"rtpferry_offload_helper_up": "1x40", "rtpferry_offload_flows": "0x40", "rtpferry_sessions": "30x40"},
                           {"rtpferry_offload_helper_up": "1x40", "rtpferry_offload_flows": "0x40", "rtpferry_sessions": "2x40"}),
    "RtpferryMediaThreadsBusy": ({'rtpferry_media_thread_load{thread="0"}': "0.9x40", 'rtpferry_media_thread_load{thread="1"}': "0.85x40"},
                                 {'rtpferry_media_thread_load{thread="0"}': "0.9x40", 'rtpferry_media_thread_load{thread="1"}': "0.1x40"}),
    "RtpferryBuffersShort": ({'rtpferry_packet_buffers{state="free"}': "5x40", 'rtpferry_packet_buffers{state="used"}': "95x40"},
                             {'rtpferry_packet_buffers{state="free"}': "50x40", 'rtpferry_packet_buffers{state="used"}': "50x40"}),
    "RtpferryPaused": ({'rtpferry_worker_pauses_total{worker="0"}': "0x35 1x5"}, {'rtpferry_worker_pauses_total{worker="0"}': "1x40"}),
    "RtpferryWithoutMemory": ({'rtpferry_worker_without_memory_total{worker="0"}': "0x35 3x5"}, {'rtpferry_worker_without_memory_total{worker="0"}': "3x40"}),
    "RtpferryRecordingFailed": ({"rtpferry_recordings_failed_total": "0x35 1x5"}, {"rtpferry_recordings_failed_total": "1x40", "rtpferry_recording_packets_lost_total": "0x40"}),
    "RtpferryAfterCallFailed": ({'rtpferry_recording_hooks_failed_total{hook="upload"}': "0x35 1x5"}, {'rtpferry_recording_hooks_failed_total{hook="upload"}': "1x40"}),
    "RtpferryControlOpen": ({'rtpferry_control_exposure{guard="open"}': "1x40"}, {'rtpferry_control_exposure{guard="loopback"}': "1x40"}),
    "RtpferryControlAttacked": ({'rtpferry_control_refused_total{reason="not-allowed"}': "0+600x40"}, {'rtpferry_control_refused_total{reason="not-allowed"}': "0+3x40"}),
    "RtpferryReportsNotTaken": ({'rtpferry_telemetry_up{server="homer"}': "0x40", 'rtpferry_telemetry_waiting_bytes{server="homer"}': "900x40"},
                                {'rtpferry_telemetry_up{server="homer"}': "0x40", 'rtpferry_telemetry_waiting_bytes{server="homer"}': "0x40"}),
    "RtpferryBrokenInvariant": ({"rtpferry_broken_invariants_total": "0x35 1x5"}, {"rtpferry_broken_invariants_total": "1x90"}),
    "RtpferryDraining": ({"rtpferry_draining": "1x90"}, {"rtpferry_draining": "0x90"}),
}


def rules():
    """Alert -> its expression and its runbook."""
    text = open(RULES).read()
    found = re.findall(r"- alert: (\w+)\n\s+expr: '((?:[^']|'')*)'\n.*?runbook: (\S+)", text, re.S)
    return {name: (expression.replace("''", "'"), runbook) for name, expression, runbook in found}


def queries():
    """(panel, expression) of the dashboard, with Grafana's words replaced."""
    found = []
    dashboard = json.load(open(DASHBOARD))
    for panel in dashboard["panels"]:
        found += [(panel["title"], target["expr"]) for target in panel.get("targets", [])]
    found += [(f"annotation {each['name']}", each["expr"]) for each in dashboard["annotations"]["list"]]
    for word, value in (("$__rate_interval", "10s"), ("$job", ".+"), ("$instance", ".+")):
        found = [(title, expression.replace(word, value)) for title, expression in found]
    return dashboard, found


def names_are_known():
    dashboard, found = queries()
    operations = open(os.path.join(TOP, "docs", "operations.md")).read()
    known = dict(re.findall(r"^\| `(rtpferry_\w+)` \| (\w+) \|", operations, re.M))
    series = set(known) | {f"{name}{end}" for name, kind in known.items() if kind == "histogram" for end in ("_bucket", "_sum", "_count")}
    used = set()
    for _, expression in found + [(name, expression) for name, (expression, _) in rules().items()]:
        used |= set(re.findall(r"\b(rtpferry_\w+)", expression))
    check(len(known) > 50 and used <= series, f"every metric is one of docs/operations.md {sorted(used - series)}")
    anchors = {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in re.findall(r"^##+ (.+)$", operations, re.M)}
    dead = [name for name, (_, runbook) in rules().items() if not runbook.startswith("docs/operations.md#") or runbook.split("#")[1] not in anchors]
    check(not dead, f"every alert names a part of docs/operations.md that is there {dead}")
    ids = [panel["id"] for panel in dashboard["panels"]]
    spots = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    check(len(set(ids)) == len(ids) and len(set(spots)) == len(spots) and all(p["gridPos"]["x"] + p["gridPos"]["w"] <= 24 for p in dashboard["panels"]),
          "each panel has an id and a place of its own")
    untold = [panel["title"] for panel in dashboard["panels"] if panel["type"] != "row" and not panel["targets"]]
    check(not untold and all(panel["targets"][0]["datasource"]["uid"] == "${datasource}" for panel in dashboard["panels"] if panel["type"] != "row"),
          "each panel asks the data source that the operator chose")


def alerts_fire():
    if shutil.which("promtool") is None:
        raise Skip("promtool is not installed (Debian package prometheus)")
    checked = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True)
    check(checked.returncode == 0, f"promtool check rules {checked.stdout if checked.returncode else ''}{checked.stderr}")
    check(set(CASES) == set(rules()), f"each alert has its outage here {set(CASES) ^ set(rules())}")
    tests = []
    for name, cases in CASES.items():
        for fires, series in zip((True, False), cases):
            longest = max(sum(int(times) for times in re.findall(r"x(\d+)", values)) for values in series.values())
            inputs = []
            for each, values in series.items():
                metric, _, labels = each.partition("{")
                inputs.append({"series": f"{metric}{{{RELAY}{',' + labels.rstrip('}') if labels else ''}}}", "values": values})
            tests.append({"interval": "1m", "name": f"{name}, {'an outage' if fires else 'none'}", "input_series": inputs, "promql_expr_test": [
                {"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": f"{longest}m",
                 "exp_samples": [{"labels": "{}", "value": 1}] if fires else []}]})
    file = os.path.join(temporary("ferry-rules-"), "test.yml")
    json.dump({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}, open(file, "w"))
    judged = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True)
    check(judged.returncode == 0, f"{len(tests)} cases of {len(CASES)} alerts: promtool test rules {judged.stdout if judged.returncode else ''}{judged.stderr}")


def prometheus_get(path, **words):
    url = f"http://127.0.0.1:{PROMETHEUS}{path}?{urllib.parse.urlencode(words)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        return json.loads(text) if text.startswith("{") else {"status": text}  # before it is ready it says so in plain text
    except OSError:
        return {"status": "not there"}


def page():
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/metrics", timeout=5) as reply:
        return reply.read().decode()


def start_prometheus():
    directory = temporary("ferry-prometheus-")
    scrape = open(os.path.join(TOP, "packaging", "prometheus", "scrape.yml")).read().replace("127.0.0.1:2225", f"127.0.0.1:{HTTP}")
    with open(os.path.join(directory, "prometheus.yml"), "w") as file:
        file.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\n" f"rule_files: ['{RULES}']\nscrape_configs:\n" + scrape)
    return subprocess.Popen(["prometheus", f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                             f"--web.listen-address=127.0.0.1:{PROMETHEUS}", "--log.level=error"])


def queries_run(build):
    """Each query on a Prometheus that scrapes a relay with calls: one that goes on, one that was over, one that was refused."""
    daemon = Daemon(os.path.join(build, "rtpferryd"), f"--listen-ng=127.0.0.1:{NG}", f"--listen-http=127.0.0.1:{HTTP}",
                    f"--recording-dir={temporary('ferry-recordings-')}", f"--graphite=127.0.0.1:{GRAPHITE}")
    prometheus = start_prometheus()
    ng, stage = Ng(None, port=NG), Stage()
    try:
        def call(name, port):
            a, b = Party(None, "127.0.0.2", port, 1), Party(None, "127.0.0.3", port + 4, 2)
            b.to = ("127.0.0.1", port_of(ng.ask("offer", name, from_tag="A", sdp=a.sdp())))
            a.to = ("127.0.0.1", port_of(ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp())))
            a.on = b.on = a.rtcp = b.rtcp = True
            a.about, b.about = b, a
            stage.parties += [a, b]
        call("over", 4700)
        call("running", 4720)
        wait_for(lambda: prometheus_get("/api/v1/query", query="up").get("status") == "success", 60, "Prometheus")
        stage.play(4)
        ng.ask("delete", "over", from_tag="A", delete_delay=0)
        ng.ask("query", "nobody")
        stage.parties = stage.parties[2:]
        ready = lambda: prometheus_get("/api/v1/query", query="count_over_time(up[10s]) > 8 and up == 1").get("data", {}).get("result")
        end = time.monotonic() + 30
        while not ready() and time.monotonic() < end:
            stage.play(1)
        stage.play(2)
        check(bool(ready()), "Prometheus scrapes the relay by packaging/prometheus/scrape.yml")
        shown = set(re.findall(r"^# TYPE (\w+)", page(), re.M))
        broken, empty = [], []
        for title, expression in queries()[1]:
            reply = prometheus_get("/api/v1/query", query=expression)
            if reply.get("status") != "success":
                broken.append((title, expression, reply.get("error")))
            # What is filtered (> 0) may be empty, and so may what this relay does not have.
            wanted = {re.sub(r"_(bucket|count|sum)$", "", name) for name in re.findall(r"\b(rtpferry_\w+)", expression)}
            if "> 0" not in expression and wanted <= shown and not reply.get("data", {}).get("result"):
                empty.append((title, expression))
        count = len(queries()[1])
        check(not broken, f"Prometheus runs all {count} queries of the dashboard {broken}")
        check(not empty, f"those about what this relay has find something {empty}")
        told = prometheus_get("/api/v1/rules")["data"]["groups"][0]["rules"]
        check(len(told) == len(rules()) and all(each["health"] == "ok" for each in told), "Prometheus evaluates every alert without an error")
        firing = sorted(each["name"] for each in told if each["state"] == "firing")
        check(not firing, f"no alert fires on a relay that is well {firing}")
    finally:
        prometheus.terminate()
        prometheus.wait(20)
        stage.clear()
        daemon.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", help="where the binaries are; without it no query is run")
    build = parser.parse_args().build
    try:
        names_are_known()
        alerts_fire()
        if shutil.which("prometheus") is None:
            raise Skip("prometheus is not installed")
        if build:
            queries_run(os.path.abspath(build))
    except Skip as reason:
        print(f"skipped: {reason}")
        return exit_status() or 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
