#!/usr/bin/env bash
# Man pages and shell completions of an `alinfik`, from its own argument parser: nothing in them is written by hand.
#
#   scripts/manual-and-completions.sh ALINFIK SHARE
#
# They come to lie below SHARE where man, bash, zsh and fish look for them below /usr/share and /usr/local/share.
set -euo pipefail
alinfik=$(realpath "${1:?usage: manual-and-completions.sh ALINFIK SHARE}")
mkdir -p "${2:?usage: manual-and-completions.sh ALINFIK SHARE}"
share=$(realpath "$2")
cd "$(dirname "$0")/.."

# The parser's own tool writes the pages. Its plugin (`swift package generate-manual`) would build all of this package
# once more, with other flags; the tool by itself wants only the parser, which is checked out already.
for parser in .build{/static,}/checkouts/swift-argument-parser; do
  [ ! -d $parser ] || break
done
[ -d $parser ] || swift package resolve >&2
swift build -c release --package-path $parser --scratch-path .build/manual --product generate-manual >&2

mkdir -p "$share/man/man1"
.build/manual/release/generate-manual "$alinfik" --multi-page --output-directory "$share/man/man1" \
  --date "$(git log -1 --format=%cs 2>/dev/null || date +%F)"

# It names a command's page alinfik.score; `man alinfik score` looks for alinfik-score.
for page in "$share"/man/man1/alinfik.*.1; do
  mv "$page" "$share/man/man1/alinfik-${page##*/alinfik.}"
done
sed -i '/^\.Xr/s/alinfik\./alinfik-/; /^\.Dt/s/ALINFIK\./ALINFIK-/; s/^$/.Pp/' "$share"/man/man1/*.1

# completion SHELL FILE: where that shell looks for the completions of a command called alinfik
completion() {
  mkdir -p "$(dirname "$share/$2")"
  "$alinfik" --generate-completion-script "$1" >"$share/$2"
}
completion bash bash-completion/completions/alinfik
completion zsh zsh/site-functions/_alinfik
completion fish fish/vendor_completions.d/alinfik.fish
