#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of docs/operations.md (metrics, drop reasons, send errors, refusals, verdicts, thresholds, events), of docs/from-rtpengine.md (names of
metrics) and of docs/reference/cli.md (commands) from the tables in the code, so that they cannot drift apart. With --check it only tells whether they have."""

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
TEXT = r'"((?:[^"\\]|\\.)*)"'


def rows(source, pattern):
    text = open(os.path.join(ROOT, source)).read()
    return [tuple(part.replace('\\"', '"').replace("|", "\\|") for part in match) for match in re.findall(pattern, text)]


def table(head, lines):
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head)] + [f"| {' | '.join(line)} |" for line in lines])


def metrics():
    found = rows("control/protocol/pages/metrics.cpp", rf"\{{{TEXT}, Kind::k(\w+), {TEXT}, {TEXT}, {TEXT}\}}")
    return table(("metric", "kind", "labels", "what it means", "what to do"),
                 [(f"`{name}`", kind.lower(), labels.replace(",", ", "), meaning, advice) for name, kind, labels, meaning, advice in found])


def rtpengine_metrics():
    found = rows("control/protocol/pages/rtpengine_metrics.cpp", rf"\{{{TEXT}, k(Counter|Gauge), {TEXT}, {TEXT}, {TEXT}\}}")
    return table(("metric", "kind", "labels", "what it means"),
                 [(f"`{name}`", kind.lower(), labels.replace("=*", "").replace(",", ", "), meaning) for name, kind, labels, _, meaning in found])


def graphite():
    found = rows("control/telemetry/graphite.cpp", rf"\{{{TEXT}, {TEXT}, (true|false), {TEXT}\}}")
    return table(("name", "of", "what it means"), [(f"`{name}`", "the interval" if growth == "true" else "now", meaning) for name, _, growth, meaning in found])


def drops():
    found = rows("relay/core/forward/drop_reason.hpp", rf"\{{DropReason::\w+, {TEXT}, {TEXT}, {TEXT}\}}")
    return table(("reason", "what it means", "what to do"), [(f"`{name}`", *rest) for name, *rest in found if name != "none"])


def send_errors():
    found = rows("relay/base/send_error.hpp", rf"\{{SendError::\w+, {TEXT}, {TEXT}, {TEXT}\}}")
    return table(("error", "what it means", "what to do"), [(f"`{name}`", *rest) for name, *rest in found if name != "none"])


def closings():
    found = rows("control/protocol/connections/close_reason.hpp", rf"\{{CloseReason::\w+, {TEXT}, {TEXT}, {TEXT}(?:, true)?\}}")
    return table(("reason", "what it means", "what to do"), [(f"`{name}`", *rest) for name, *rest in found])


def refusals():
    found = rows("control/request/refusal.hpp", rf"\{{(?:PortFailure|RefusalReason)::\w+, {TEXT}, {TEXT}, {TEXT}\}}")
    return table(("reason", "what it means", "what to do"), [(f"`{name}`", *rest) for name, *rest in found])


def verdicts():
    found = rows("control/diagnose/causes.hpp", rf"\{{Cause::\w+, {TEXT}, Severity::k(\w+), Reception::k(\w+), {TEXT}, {TEXT}\}}")
    return table(("verdict", "severity", "the listener gets", "what it means", "what to do"),
                 [(f"`{name}`", severity.lower(), reception.lower(), meaning, advice) for name, severity, reception, meaning, advice in found])


def thresholds():
    found = rows("control/diagnose/hearing.hpp", rf"\{{Threshold::\w+, {TEXT}, ([0-9.]+), {TEXT}, {TEXT}\}}")
    return table(("threshold", "value", "what it means"), [(f"`{name}`", f"{value} {unit}", meaning) for name, value, unit, meaning in found])


def events():
    found = rows("control/events/event.hpp", rf"\{{EventType::\w+, {TEXT}, {TEXT}, {TEXT}\}}")
    return table(("type", "what happened", "its fields"),
                 [(f"`{name}`", meaning, ", ".join(f"`{field}`" for field in fields.split(", "))) for name, meaning, fields in found])


def event_fields():
    text = open(os.path.join(ROOT, "control/events/event.hpp")).read()
    found = re.findall(rf"^  \{{{TEXT}, {TEXT}, {TEXT}\}},", text, re.M)
    return table(("field", "value", "what it means"), [(f"`{name}`", kind, meaning) for name, kind, meaning in found])


def commands():
    found = rows("control/protocol/cli/command_table.hpp", rf"^  \{{{TEXT}, {TEXT}, {TEXT}") or []
    text = open(os.path.join(ROOT, "control/protocol/cli/command_table.hpp")).read()
    found = [tuple(part.replace("|", "\\|") for part in match) for match in re.findall(rf"^  \{{{TEXT}, {TEXT}, {TEXT}", text, re.M)]
    return table(("command", "arguments", "what it does"), [(f"`{name}`", f"`{arguments}`" if arguments else "", help) for name, arguments, help in found])


PAGES = {"docs/operations.md": {"metrics": metrics, "drops": drops, "send errors": send_errors, "closings": closings, "refusals": refusals, "verdicts": verdicts, "thresholds": thresholds,
                                "events": events, "fields": event_fields},
         "docs/from-rtpengine.md": {"rtpengine metrics": rtpengine_metrics, "graphite": graphite},
         "docs/reference/cli.md": {"commands": commands}}


def main():
    wrong = 0
    for path, marks in PAGES.items():
        full = os.path.join(ROOT, path)
        old = page = open(full).read()
        for mark, make in marks.items():
            start, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
            page = page[:page.index(start) + len(start)] + "\n" + make() + "\n" + page[page.index(end):]
        if "--check" not in sys.argv:
            open(full, "w").write(page)
        elif page != old:
            wrong += 1
            print(f"{path} is not what the tables say: run tools/operations_docs.py")
    if not wrong:
        print("docs/operations.md, docs/from-rtpengine.md and docs/reference/cli.md follow the tables")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
