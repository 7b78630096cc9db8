#!/usr/bin/env bash
# Tries what `make release` packed where there is nothing else: `make try-release`.
#
# Makes a minimal Debian (debootstrap) in a folder, unpacks the archive there, installs the packages that the archive names,
# and scores in it: same bytes as outside; without /proc, HOME, an environment; on a file system that cannot be written.
# Says each thing it has checked. Wants root, for chroot and mounts.
#
#   ALINFIK   the command outside, to compare with, of the same commit (default: .build/release/alinfik)
#   SUITE     the Debian release (default: this machine's); its glibc must be as new as that the archive was built with
#   MIRROR    where packages come from (default: the first that apt has here)
set -euo pipefail
cd "$(dirname "$0")/.."

outside=$(realpath "${ALINFIK:-.build/release/alinfik}")
suite=${SUITE:-$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")}
mirror=${MIRROR:-$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep /debian | head -n 1 || true)}
mirror=${mirror:-http://deb.debian.org/debian}
version=$(sed -n 's/.*alinfikVersion = "\(.*\)"/\1/p' Sources/Formats/Version.swift)
name=alinfik-$version-linux-$(uname -m)
archive=.build/static/$name.tar.gz

refuse() { echo "try-release: $1" >&2; exit "$2"; }
[ -f "$archive" ] || refuse "$archive is missing: run make release" 66
[ -x "$outside" ] || refuse "$outside is missing: run make build, or set ALINFIK" 66
[ "$(id -u)" -eq 0 ] || refuse "chroot wants root: sudo make try-release" 77
command -v debootstrap >/dev/null || refuse "debootstrap is missing: apt-get install debootstrap" 69

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root

# One download for many trials.
kept=$PWD/.cache/debian-$suite.tar
if [ ! -f "$kept" ]; then
  echo "try-release: Debian $suite from $mirror, kept as .cache/debian-$suite.tar" >&2
  mkdir -p .cache
  debootstrap --variant=minbase "$suite" "$work/made" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 5 "$work/debootstrap.log" >&2
    refuse "debootstrap failed (MIRROR, SUITE: see scripts/try-release.sh)" 69
  }
  tar -C "$work/made" --numeric-owner -cf "$kept.new" .
  mv "$kept.new" "$kept"
  rm -rf --one-file-system "$work/made"
fi
mkdir "$root"
tar -C "$root" --numeric-owner -xpf "$kept"

# inside COMMAND...: runs it in the root, with no environment; /proc is not mounted there
inside() { env -i /usr/sbin/chroot "$root" "$@"; }
# sealed COMMAND...: the same where nothing can be written
sealed() {
  env -i /usr/bin/unshare --mount /bin/sh -ec '
    mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec /usr/sbin/chroot "$0" "$@"' "$root" "$@"
}
checked() { echo "ok  $*"; }
failed() { echo "try-release: failed: $1" >&2; exit 1; }
# quietly COMMAND...: what it says (warnings about a valuator as small as this) is shown only where it fails
quietly() {
  "$@" 2>"$work/said" || { cat "$work/said" >&2; failed "$*"; }
}
# same WHAT FILE FILE
same() { if cmp "$2" "$3" >&2; then checked "$1"; else failed "$1"; fi; }

# A valuator, made here of a random model with single letters as tokens.
model=$work/model valuator=$work/valuator
mkdir "$model"
cp Tests/Fixtures/llama/untied/{config.json,model.safetensors} "$model"
vocabulary= count=0
for piece in '<unk>' '<s>' '</s>' '▁' {a..z} . ,; do
  vocabulary+="${vocabulary:+, }\"$piece\": $((count++))"
done
cat >"$model/tokenizer.json" <<END
{"version": "1.0", "added_tokens": [], "pre_tokenizer": null, "post_processor": null, "decoder": null,
 "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
 "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": false, "byte_fallback": false, "vocab": {$vocabulary}, "merges": []}}
END
echo '{"eos_token": "</s>", "unk_token": "<unk>"}' >"$model/tokenizer_config.json"
words=(cat dog mat sun moon tree house river)
for ((row = 0; row < 600; row++)); do
  echo "{\"id\": \"row-$row\", \"text\": \"${words[row % 8]} and ${words[row / 8 % 8]} by the ${words[row / 3 % 8]}, where a ${words[row * 5 % 7]} met the ${words[row / 7 % 8]} again.\"}"
done >"$work/rows.jsonl"
head -n 2 "$work/rows.jsonl" >"$work/target.jsonl"
# made_by ALINFIK VALUATOR
made_by() {
  quietly "$1" label --model "$model" --target "$work/target.jsonl" --sample "$work/rows.jsonl" --output "$2.h5"
  quietly "$1" train "$2.h5" --output "$2" --init "$model" --size small
}
made_by "$outside" "$valuator"
quietly "$outside" score "$valuator" "$work/rows.jsonl" >"$work/expected.jsonl"

# Outside: HDF5 and LAPACK that are linked in give what the shared ones give.
tar -C "$work" -xzf "$archive"
made_by "$work/$name/bin/alinfik" "$work/again"
quietly "$outside" score "$work/again" "$work/rows.jsonl" >"$work/again.jsonl"
same "label and train of the release make a valuator of the same scores" "$work/expected.jsonl" "$work/again.jsonl"

# Inside.
cp "$archive" "$root/tmp/archive.tar.gz"
inside /usr/bin/tar -xzf /tmp/archive.tar.gz --strip-components=1 -C /usr/local
packages=$(cat "$root/usr/local/share/doc/alinfik/packages")
for package in $packages; do
  inside /usr/bin/dpkg-query -s "$package" >/dev/null 2>&1 ||
    inside /usr/bin/apt-get install -qq -y --no-install-recommends "$package" >&2
done
cp -r "$valuator" "$root/srv/valuator"
cp "$work/rows.jsonl" "$root/srv"
alinfik=/usr/local/bin/alinfik
checked "Debian $(cat "$root/etc/debian_version") with $(inside /usr/bin/dpkg-query -f '.\n' -W | wc -l) packages;" \
  "the archive names: $packages"
found=$(find "$root" -xdev \( -name 'libhdf5*.so*' -o -name 'libopenblas*.so*' -o -name 'libswift*.so' -o -name 'python3*' \) | head -n 3)
[ -z "$found" ] || failed "a bare root: $found"
checked "no HDF5, OpenBLAS, Swift or Python in it"
inside /usr/bin/ldd $alinfik >"$work/libraries"
! grep -q 'not found' "$work/libraries" || failed "libraries: $(cat "$work/libraries")"
checked "ldd: $(awk '{ print $1 }' "$work/libraries" | sed 's|.*/||' | paste -sd ' ')"
[ "$(inside $alinfik --version)" = "$version" ] || failed "--version"
checked "alinfik --version: $version"
"$outside" --help >"$work/help"
inside $alinfik --help >"$work/help-inside"
same "alinfik --help, as outside" "$work/help" "$work/help-inside"

quietly inside $alinfik score /srv/valuator /srv/rows.jsonl >"$work/scored.jsonl"
same "score: $(wc -l <"$work/scored.jsonl") lines, the bytes of the build outside (no /proc, no HOME)" \
  "$work/expected.jsonl" "$work/scored.jsonl"
gzip -k "$work/rows.jsonl"
quietly inside $alinfik score /srv/valuator <"$work/rows.jsonl.gz" >"$work/scored.jsonl"
same "score of gzip from standard input" "$work/expected.jsonl" "$work/scored.jsonl"
quietly inside $alinfik score /srv/valuator /srv/rows.jsonl --output /srv/scored.jsonl.gz
gzip -dc "$root/srv/scored.jsonl.gz" >"$work/scored.jsonl"
same "score to a .gz" "$work/expected.jsonl" "$work/scored.jsonl"
quietly inside $alinfik score /srv/valuator /srv/rows.jsonl --output-dir /srv/scored
same "score --output-dir" "$work/expected.jsonl" "$root/srv/scored/rows.jsonl"
[ -f "$root/srv/scored/rows.jsonl.done.json" ] || failed "score --output-dir: its mark"

quietly sealed $alinfik score /srv/valuator <"$work/rows.jsonl" >"$work/scored.jsonl"
same "score on a read-only file system" "$work/expected.jsonl" "$work/scored.jsonl"
status=0
sealed $alinfik score /srv/valuator /srv/rows.jsonl --output /srv/other.jsonl --quiet 2>"$work/refused" || status=$?
[ $status -eq 74 ] || failed "an output on a read-only file system: exit code $status, $(cat "$work/refused")"
checked "an output there: exit code 74, $(cat "$work/refused")"
