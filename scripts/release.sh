#!/usr/bin/env bash
# Builds an `alinfik` that needs no library but the C library, and packs it: `make release`.
#
# Out comes .build/static/alinfik-VERSION-linux-ARCH.tar.gz, and the folder of that name beside it, laid out as under
# /usr/local: bin/alinfik, share/man, completions for bash, zsh and fish, share/doc/alinfik with what it needs and licences.
# gzip, not zstd: every Debian root can unpack it.
#
# Swift's runtime, HDF5, OpenBLAS, zlib, zstd and the C++ and Fortran runtimes are linked from their static archives:
# - loading HDF5 and OpenBLAS when they are needed would leave `score` free of them, but the rest would depend on what
#   a machine happens to have, and so would labels' last bits;
# - an executable for `score` alone would be a second command to build, to test and to explain.
# Debian's libhdf5.a needs libcurl and libcrypto only for files on S3; that part is not called and so not linked.
# The C library stays shared: it is on every machine, and a static one could not be mended by an update.
set -euo pipefail
cd "$(dirname "$0")/.."

build=.build/static  # its own folder: other linking would spoil .build/release
version=$(sed -n 's/.*alinfikVersion = "\(.*\)"/\1/p' Sources/Formats/Version.swift)
name=alinfik-$version-linux-$(uname -m)
out=$build/$name

# A folder with the static archives alone, and pkg-config files that name it: the linker takes what it finds there first.
archives=$PWD/$build/archives
rm -rf "$archives"
mkdir -p "$archives"
missing=()
# link LIBRARY PACKAGE [FOLDER]: a link to LIBRARY.a, which is in FOLDER or where gcc looks
link() {
  local file=${3:+$3/lib$1.a}
  file=${file:-$(gcc -print-file-name="lib$1.a")}
  if [ -e "$file" ]; then ln -s "$(realpath "$file")" "$archives/lib$1.a"; else missing+=("$2"); fi
}
link hdf5 libhdf5-dev "$(pkg-config --libs-only-L hdf5 | sed 's/^-L//; s/ *$//')"
link openblas libopenblas-dev
link z zlib1g-dev
link zstd libzstd-dev
link sz libaec-dev
link aec libaec-dev
link gfortran "libgfortran-$(gcc -dumpversion)-dev"
link quadmath "libgcc-$(gcc -dumpversion)-dev"
link stdc++ "libstdc++-$(gcc -dumpversion)-dev"
if [ ${#missing[@]} -gt 0 ]; then
  echo "release: static archives are missing: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 69
fi
# described NAME LIBRARIES: a pkg-config file for what Package.swift calls NAME
described() {
  printf 'Name: %s\nDescription: static\nVersion: 1\nLibs: -L%s %s\nCflags: %s\n' \
    "$1" "$archives" "$2" "$(pkg-config --cflags "$1")" >"$archives/$1.pc"
}
described hdf5 "-lhdf5 -lsz -laec -lz"
described openblas "-lopenblas -lgfortran -lquadmath"
described zlib "-lz"
described libzstd "-lzstd"

# lld looks in an archive again when a later one wants something of it; Foundation's ICU comes after the C++ runtime.
swift build -c release --product alinfik --scratch-path $build --static-swift-stdlib --pkg-config-path "$archives" \
  -Xswiftc -use-ld=lld -Xswiftc -Xclang-linker -Xswiftc -static-libgcc >&2

rm -rf "$out" "$out.tar.gz"
install -d "$out/bin" "$out/share/doc/alinfik/licences"
strip -o "$out/bin/alinfik" $build/release/alinfik
chmod 755 "$out/bin/alinfik"
shared=$(objdump -p "$out/bin/alinfik" | awk '$1 == "NEEDED" { print $2 }')
foreign=$(grep -vE '^(lib(c|m|dl|pthread)\.so|ld-linux)' <<<"$shared" || true)
if [ -n "$foreign" ]; then
  echo "release: linked to more than the C library:" $foreign >&2
  exit 70
fi

scripts/manual-and-completions.sh "$out/bin/alinfik" "$out/share"

document=$out/share/doc/alinfik
glibc=$(objdump -T "$out/bin/alinfik" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
echo "libc6" >"$document/packages"
cat >"$document/README.md" <<END
# alinfik $version for Linux, $(uname -m)

Needs nothing but the GNU C library, ${glibc#GLIBC_} or newer (Debian: libc6; \`packages\` in this folder lists Debian packages by
name): $(paste -sd ' ' <<<"$shared"). No Python, no HDF5, no BLAS, no Swift. Scoring needs a valuator's directory, and no model.

Unpack it over a prefix:

    tar -xzf $name.tar.gz --strip-components=1 -C /usr/local

That puts the command in bin, its man pages in share/man (\`man alinfik\`, \`man alinfik score\`) and completions where bash
(with the bash-completion package), zsh and fish look for them. \`alinfik help score\` begins with examples.

\`licences\` has those of the libraries that are linked in.
END
licence() { cp "$2" "$document/licences/$1"; }
for package in libhdf5-dev libopenblas-dev zlib1g-dev libzstd-dev libaec-dev "libgfortran-$(gcc -dumpversion)-dev"; do
  licence "$package" "/usr/share/doc/$package/copyright"
done
licence swift "$(dirname "$(readlink -f "$(command -v swift)")")/../share/swift/LICENSE.txt"
for file in $build/checkouts/*/{LICENSE,NOTICE}.txt; do
  [ -e "$file" ] && licence "$(basename "$(dirname "$file")")-$(basename "$file" .txt)" "$file"
done
for file in LICENSE*; do
  [ -e "$file" ] && cp "$file" "$document"
done
find "$out" -type f ! -name alinfik -exec chmod 644 {} +

# Names in order, the time of the commit, no owner: the same files pack to the same archive.
changed=$(git log -1 --format=%ct 2>/dev/null || date +%s)
tar -C $build --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$changed" -cf - "$name" | gzip -9n >"$out.tar.gz"
echo "$out.tar.gz: $(du -h --apparent-size "$out.tar.gz" | cut -f 1)B;" \
  "the command $(du -h --apparent-size "$out/bin/alinfik" | cut -f 1)B; needs glibc ${glibc#GLIBC_}"
