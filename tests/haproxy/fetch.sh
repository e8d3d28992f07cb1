#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fetch.sh SUITE CACHE_DIR: print the path of the HAProxy that Debian's SUITE packages.
#
# Where the running system is SUITE and has HAProxy installed, that is the system's own binary.
# Otherwise the package and the libraries that it needs, down to the C library, are downloaded with
# an apt state of its own from the mirror that the system uses, and unpacked below
# CACHE_DIR/haproxy-SUITE; nothing is installed and root is not needed. The printed program then is
# a small wrapper that runs it with its own loader. A second call uses what is there.
#
# Exit status 1, with the reason on standard error, where it cannot be had.
set -eu

[ $# -eq 2 ] || { echo "usage: $0 SUITE CACHE_DIR" >&2; exit 2; }
suite=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)/haproxy-$suite
PATH=$PATH:/usr/sbin:/sbin

fail()
{
    echo "fetch.sh: HAProxy of Debian $suite: $*" >&2
    exit 1
}

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
if [ "$codename" = "$suite" ] && command -v haproxy >/dev/null; then
    command -v haproxy
    exit 0
fi

# Two test runs may want it at once.
exec 9>"$dir.lock"
flock 9

if [ -x "$dir/haproxy" ] && "$dir/haproxy" -v >/dev/null 2>&1; then
    echo "$dir/haproxy"
    exit 0
fi

command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || fail "needs apt-get and dpkg-deb"

# The mirror of the system's Debian archive: the first one that has main and is no security or
# backports archive, from one-line files or from deb822 ones.
mirror()
{
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -n 's/^[[:space:]]*deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]\{1,\}\)[[:space:]].*[[:space:]]main\([[:space:]].*\)\{0,1\}$/\2/p'
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '
        BEGIN { RS = ""; FS = "\n" }
        {
            uri = ""; main = 0; off = 0
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^URIs:/) { split($i, w, /[ \t]+/); uri = w[2] }
                if ($i ~ /^Components:.*[ \t]main([ \t]|$)/) main = 1
                if ($i ~ /^Enabled:[ \t]*no/) off = 1
            }
            if (uri != "" && main && !off) print uri
        }'
}
uri=$(mirror | grep -E '/debian/?$' | head -n 1)
uri=${uri:-http://deb.debian.org/debian}

keyring=
for k in /usr/share/keyrings/debian-archive-keyring.gpg /usr/share/keyrings/debian-archive-keyring.pgp; do
    [ ! -r "$k" ] || { keyring=$k; break; }
done
[ -n "$keyring" ] || fail "needs the package debian-archive-keyring"

rm -rf "$dir"
mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/root"
: >"$dir/status"
# Experimental is no whole suite: HAProxy alone is taken from it, what it needs from sid.
base=$suite
[ "$suite" != experimental ] || base=sid
for s in $(printf '%s\n' "$base" "$suite" | sort -u); do
    echo "deb [signed-by=$keyring] $uri $s main"
done >"$dir/sources.list"
printf 'Package: haproxy\nPin: release a=%s\nPin-Priority: 990\n' "$suite" >"$dir/preferences"

# A mirror that lags is good enough for a test: signatures are checked, their dates are not.
own_apt()
{
    apt-get -qq -o Dir::State="$dir" -o Dir::State::status="$dir/status" \
        -o Dir::Cache="$dir/cache" -o Dir::Etc::SourceList="$dir/sources.list" \
        -o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences="$dir/preferences" \
        -o Dir::Etc::PreferencesParts=/dev/null \
        -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Install-Recommends=0 \
        -o Acquire::Check-Valid-Until=false \
        -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any "$@" >&2
}
own_apt update || fail "apt-get update from $uri failed"
own_apt -y --download-only install haproxy || fail "its packages could not be downloaded from $uri"
for package in "$dir"/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$dir/root" || fail "$package cannot be unpacked"
done
rm -rf "$dir/cache" "$dir/lists"

# Suites with and without merged /usr keep the loader and the libraries in different places.
loader=$(find "$dir/root" -name 'ld-linux*.so.*' | head -n 1)
libc=$(find "$dir/root" -name libc.so.6 | head -n 1)
program=$(find "$dir/root" -path '*/sbin/haproxy' | head -n 1)
[ -n "$loader" ] && [ -n "$libc" ] && [ -n "$program" ] || fail "its packages lack a file"
libs=$(find "$dir/root/lib" "$dir/root/usr/lib" -name '*.so.*' -exec dirname {} + 2>/dev/null |
    sort -u | paste -s -d : -)

# --argv0: HAProxy's master starts itself anew by this name at a reload.
cat >"$dir/haproxy.new" <<EOF
#!/bin/sh
exec "$loader" --argv0 "\$0" --library-path "$libs" "$program" "\$@"
EOF
chmod 755 "$dir/haproxy.new"
"$dir/haproxy.new" -v >/dev/null || fail "what was unpacked does not run"
mv "$dir/haproxy.new" "$dir/haproxy"
echo "$dir/haproxy"
