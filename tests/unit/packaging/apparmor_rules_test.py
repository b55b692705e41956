#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/packaging/apparmor_rules.py reads profiles and traces as the kernel and strace mean them."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "packaging"))
import apparmor_rules  # noqa: E402 (needs the path)

PROFILE = """@{PROC}=/proc/
@{pid}={[1-9],[1-9][0-9]}
@{run}=/run/ /var/run/
profile x /usr/sbin/x {
  /etc/x/** r,
  /etc/x/ r,
  /lib{,32}/*.so mr,
  @{PROC}/@{pid}/stat r,
  owner @{run}/x/** rwk,
  deny /etc/x/secret r,
  # /home/** r,
}
"""


class Rules(unittest.TestCase):
    def setUp(self):
        self.profile = apparmor_rules.Profile(PROFILE)

    def test_what_is_allowed(self):
        for path, rights in (("/etc/x/a/b", "r"), ("/etc/x/", "r"), ("/lib/a.so", "r"), ("/lib32/a.so", "mr"), ("/proc/12/stat", "r"),
                             ("/run/x/y", "rw"), ("/var/run/x/y/z", "w")):
            self.assertTrue(self.profile.allows(path, set(rights)), path)

    def test_what_is_not(self):
        for path, rights in (("/etc/x", "r"), ("/etc/x/a", "w"), ("/lib/b/a.so", "r"), ("/proc/123/stat", "r"), ("/run/x/", "r"),
                             ("/home/a", "r"), ("/etc/x/secret", "r")):
            self.assertFalse(self.profile.allows(path, set(rights)), path)

    def test_a_trace(self):
        trace = ('12 openat(AT_FDCWD</r/root/a>, "/etc/x", O_RDONLY|O_CLOEXEC) = 3</r/root/etc/x>\n'
                 '12 openat(AT_FDCWD</>, "/nowhere", O_RDONLY) = -1 ENOENT (No such file or directory)\n'
                 '12 openat(AT_FDCWD</>, "/usr", O_PATH) = 4</r/root/usr>\n'
                 '12 openat(5</r/root/var>, "log", O_WRONLY|O_CREAT, 0640) = 6</r/root/var/log>\n'
                 '12 openat(AT_FDCWD</>, "/sys/class/net", O_RDONLY|O_DIRECTORY) = 7</sys/class/net>\n'
                 '12 mkdir("/var/new", 0750) = 0\n'
                 '12 bind(8<UNIX:[1]>, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 110) = 0\n'
                 '12 connect(8<UDP:[1]>, {sa_family=AF_INET, sin_port=htons(53)}, 16) = 0\n')
        self.assertEqual([(path, "".join(sorted(rights))) for path, rights in apparmor_rules.accesses(trace, "/r/root")],
                         [("/etc/x", "r"), ("/var/log", "w"), ("/sys/class/net/", "r"), ("/var/new/", "w"), ("/run/x.sock", "w")])


if __name__ == "__main__":
    unittest.main()
