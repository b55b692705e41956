#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs or removes the relay of this folder: ./install.sh [--remove]. Run it as root.
#
# Programs and libraries go to /opt/rtpferry, the configuration to /etc/rtpferry if none is there, the unit to
# /etc/systemd/system. Nothing else of the system is changed. --remove keeps the configuration and /var/lib/rtpferry.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=/opt/rtpferry
[ "$(id -u)" = 0 ] || { echo "install.sh: run it as root" >&2; exit 1; }
has_systemd=$([ -d /run/systemd/system ] && echo yes || echo no)

if [ "${1:-}" = --remove ]; then
  [ "$has_systemd" = no ] || systemctl disable --now rtpferry.service || true
  rm -rf "$prefix" /etc/systemd/system/rtpferry.service /etc/tmpfiles.d/rtpferry.conf /run/rtpferry
  [ "$has_systemd" = no ] || systemctl daemon-reload
  echo "removed; /etc/rtpferry and /var/lib/rtpferry are still there"
  exit 0
fi
[ $# = 0 ] || { echo "install.sh: the only option is --remove" >&2; exit 2; }

grep -q '^rtpferryctl:' /etc/group || groupadd --system rtpferryctl
grep -q '^rtpferry:' /etc/group || groupadd --system rtpferry
grep -q '^rtpferry:' /etc/passwd ||
  useradd --system --gid rtpferry --home-dir /var/lib/rtpferry --no-create-home --shell /sbin/nologin --comment "RTP media relay" rtpferry
# A running daemon keeps its files: the new ones get the name first.
rm -rf "$prefix.new"
mkdir -p "$prefix.new"
cp -r "$here"/bin "$here"/lib "$here"/man "$here"/doc "$here"/licences "$here"/LICENSE "$here"/NOTICE "$here"/install.sh "$prefix.new/"
rm -rf "$prefix"
mv "$prefix.new" "$prefix"
mkdir -p /etc/rtpferry /etc/systemd/system /etc/tmpfiles.d
[ -e /etc/rtpferry/rtpferry.conf ] || cp "$here/etc/rtpferry.conf" /etc/rtpferry/
chown root:rtpferry /etc/rtpferry
chmod 0750 /etc/rtpferry
cp "$here/systemd/rtpferry.service" /etc/systemd/system/
cp "$here/systemd/rtpferry.tmpfiles" /etc/tmpfiles.d/rtpferry.conf
mkdir -p /run/rtpferry /var/lib/rtpferry
chown rtpferry:rtpferryctl /run/rtpferry
chmod 2755 /run/rtpferry
chown rtpferry:rtpferry /var/lib/rtpferry
chmod 0750 /var/lib/rtpferry
if [ "$has_systemd" = yes ]; then
  systemctl daemon-reload
  echo "installed: systemctl enable --now rtpferry"
else
  echo "installed: $prefix/bin/rtpferryd --config-file=/etc/rtpferry/rtpferry.conf"
fi
