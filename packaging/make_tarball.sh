#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# make tarball: the programs of the Debian package with every library that they load, the C library and its loader too, so
# that they run on other distributions. It is made of the package in build/deb.
#
#   packaging/make_tarball.sh [WORK]
#
# All lies below /opt/rtpferry, a fixed place, because the kernel takes the loader's path from the program.
set -eu
cd "$(dirname "$0")/.."
work=$(realpath -m "${1:-build/deb}")
version=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
architecture=$(dpkg --print-architecture)
package=$work/rtpferry_${version}_$architecture.deb
[ -e "$package" ] || { echo "there is no $package: make deb" >&2; exit 1; }
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l packaging/debian/changelog -S Timestamp)
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8
name=rtpferry-${version%-*}-linux-$architecture
tree=$work/$name
prefix=/opt/rtpferry
rm -rf "$tree" "$work/unpacked"
mkdir -p "$tree/bin" "$tree/lib" "$tree/licences" "$tree/systemd" "$tree/doc"
dpkg-deb -x "$package" "$work/unpacked"
cp "$work/unpacked"/usr/bin/* "$work/unpacked"/usr/sbin/* "$tree/bin/"
cp -r "$work/unpacked/etc/rtpferry" "$tree/etc"
cp -r "$work/unpacked/usr/share/man" "$tree/man"
cp packaging/rtpferry.sysusers packaging/rtpferry.tmpfiles "$tree/systemd/"
sed "s,/usr/sbin/rtpferryd,$prefix/bin/rtpferryd," packaging/rtpferry.service > "$tree/systemd/rtpferry.service"
cp packaging/tarball/install.sh LICENSE NOTICE SECURITY.md "$tree/"
cp -r docs/*.md docs/reference "$tree/doc/"
cp packaging/debian/copyright "$tree/licences/rtpferry"

# The real path of each library, under the name that it is asked for. What glibc opens by itself at run time comes along.
loader=$(patchelf --print-interpreter "$tree/bin/rtpferryd")
for program in "$tree"/bin/*; do ldd "$program"; done | awk '$2 == "=>" { print $1, $3 } $1 ~ "^/" { print $1, $1 }' | sort -u > "$work/libraries"
libc_folder=$(dirname "$(awk '$1 == "libc.so.6" { print $2 }' "$work/libraries")")
for extra in libnss_files.so.2 libnss_dns.so.2 libresolv.so.2; do
  [ ! -e "$libc_folder/$extra" ] || echo "$extra $libc_folder/$extra"
done >> "$work/libraries"
: > "$work/library-packages"
while read -r wanted there; do
  cp -L "$there" "$tree/lib/$(basename "$wanted")"
  # /lib is a link to /usr/lib; packages know either name.
  dpkg -S "$there" "/usr$there" "${there#/usr}" "$(realpath "$there")" 2>/dev/null | sed 's/: .*//' >> "$work/library-packages" || true
done < "$work/libraries"
sort -u -o "$work/library-packages" "$work/library-packages"
{
  echo "# Libraries below lib/ are unchanged files of these Debian packages; their sources: apt-get source NAME, or snapshot.debian.org."
  while read -r library; do dpkg-query -W -f '${Package} ${Version} (source ${source:Package} ${source:Version})\n' "$library"; done < "$work/library-packages"
} > "$tree/licences/LIBRARIES"
while read -r library; do
  cp -L "/usr/share/doc/${library%%:*}/copyright" "$tree/licences/${library%%:*}"
done < "$work/library-packages"

for program in "$tree"/bin/*; do
  patchelf --set-interpreter "$prefix/lib/$(basename "$loader")" --set-rpath "$prefix/lib" --force-rpath "$program"
done
chmod -R u=rwX,go=rX "$tree"
tar --create --directory "$work" --sort=name --mtime=@"$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --format=gnu "$name" |
  xz --threads=1 > "$work/$name.tar.xz"
rm -rf "$tree" "$work/unpacked" "$work/libraries" "$work/library-packages"
ls "$work/$name.tar.xz"
