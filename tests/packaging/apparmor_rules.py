# SPDX-License-Identifier: Apache-2.0
"""Whether a profile of AppArmor allows what a program was seen to do with files. For machines whose kernel has no AppArmor.

The rules are those that `apparmor_parser -p` prints, with all includes. Only rules about files are judged.
"""

import itertools
import re
import subprocess

CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)")
RULE = re.compile(r"^\s*(deny\s+)?(?:owner\s+)?((?:/|@\{)\S*)\s+([rwamklixPpUuC]+),")
VARIABLE = re.compile(r"^@\{(\w+)\}\s*\+?=\s*(.*)$")


def preprocessed(profile):
    return subprocess.run(["apparmor_parser", "-p", profile], capture_output=True, text=True, check=True).stdout


def regex_of(glob):
    """A pattern of AppArmor as a regular expression: * stays in a folder, ** does not, {a,b} is a choice. A part of a path that
    is a * or ** alone stands for something, so that /a/** is not /a/ itself."""
    out, depth, i = "", 0, 0
    while i < len(glob):
        c = glob[i]
        begins_part = glob[i - 1:i] == "/"
        if glob.startswith("**", i):
            out += "[^/].*" if begins_part and i + 2 == len(glob) else ".*"
            i += 1
        elif c == "*":
            out += "[^/]+" if begins_part and glob[i + 1:i + 2] in ("", "/") else "[^/]*"
        elif c == "?":
            out += "[^/]"
        elif c == "{":
            out, depth = out + "(?:", depth + 1
        elif c == "}":
            out, depth = out + ")", depth - 1
        elif c == "," and depth > 0:
            out += "|"
        elif c == "[":
            end = glob.index("]", i)
            out, i = out + glob[i:end + 1], end
        else:
            out += re.escape(c)
        i += 1
    return out


class Profile:
    def __init__(self, text):
        self.variables, self.rules = {}, []
        lines = [line.split("#")[0] if line.lstrip().startswith("#") else line for line in text.splitlines()]
        for line in lines:
            if match := VARIABLE.match(line):
                self.variables.setdefault(match[1], []).extend(word.strip('"') for word in match[2].split())
        for line in lines:
            if match := RULE.match(line):
                for path in self.expanded(match[2]):
                    self.rules.append((bool(match[1]), re.compile(regex_of(re.sub("//+", "/", path))), set(match[3])))

    def expanded(self, path):
        found = re.findall(r"@\{(\w+)\}", path)
        for values in itertools.product(*(self.variables.get(name, []) for name in found)):
            text = path
            for name, value in zip(found, values):
                text = text.replace(f"@{{{name}}}", value, 1)
            yield from [text] if "@{" not in text else self.expanded(text)

    def allows(self, path, rights):
        """True if the rules together give all the rights, and none takes one."""
        given = set()
        for denies, pattern, each in self.rules:
            if pattern.fullmatch(path):
                if denies and each & rights:
                    return False
                given |= set() if denies else each
        return rights <= given | ({"a"} if "w" in given else set())


def path_of(text, root):
    """The path of an argument that `strace -y` printed, seen from inside `root`; None if it names no file."""
    at = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>, ", text)
    name = re.search(r'"([^"]*)"', text)
    if name is None or not name[1]:
        return None
    # A path that begins with / is one of the root already; that of a descriptor is one of the host.
    folder = at[1] if at else ""
    folder = folder[len(root):] or "/" if root and folder.startswith(root) else folder
    return name[1] if name[1].startswith("/") else f"{folder.rstrip('/')}/{name[1]}"


def accesses(trace, root=""):
    """(path, rights) of the calls about files in the output of `strace -f -y` that succeeded."""
    for line in trace.splitlines():
        match = CALL.match(line)
        if match is None or int(match[3]) < 0:
            continue
        call, arguments = match[1], match[2]
        if call in ("open", "openat"):
            if "O_PATH" in arguments:  # no hook of the kernel asks AppArmor about these
                continue
            rights = {"w"} if "O_WRONLY" in arguments else {"r", "w"} if "O_RDWR" in arguments else {"r"}
            path = path_of(arguments, root)
            # Folders end with a slash in rules.
            if path and "O_DIRECTORY" in arguments:
                path = path.rstrip("/") + "/"
        elif call in ("unlink", "unlinkat", "mkdir", "mkdirat", "rmdir", "chmod", "fchmodat", "chown", "lchown", "fchownat", "truncate",
                      "rename", "renameat", "renameat2"):
            rights, path = {"w"}, path_of(arguments, root)
            if path and call in ("mkdir", "mkdirat", "rmdir"):
                path = path.rstrip("/") + "/"
        elif call in ("bind", "connect") and "sun_path=\"" in arguments:
            rights, path = {"w"}, re.search(r'sun_path="([^"]*)"', arguments)[1]
        else:
            continue
        if path:
            yield re.sub("//+", "/", path), rights
