#!/usr/bin/env bash
# -ffp-contract=off promises that no multiplication and addition become one fused operation. GCC 12.2 (Debian's 12.2.0-14+deb12u1) keeps that
# for single operations, but where its vectorizer finds a difference and a sum side by side, as in the rotation of RoPE (x c − y s, x s + y c),
# it takes vfmaddsub from -O3 with -mfma on, which fuses both: other bits than the same source gives without -mfma, so that a model's queries and
# keys depend on the instruction set. At -O2, or with the fused operations written out (fma), it does as it is told.
# Exit status 1 if the compiler does otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
version=12.2.0-14+deb12u1
apt-get download -qq "g++-12=$version" libisl23=0.25-1.1 libmpc3=1.3.1-1 libmpfr6=4.2.0-1 libgmp10=2:6.2.1+dfsg1-1.1
for package in *.deb; do dpkg-deb -x "$package" .; done
cat >rope.cpp <<'CPP'
void rope(float* x, const float* angles, long pairs) {
  for (long i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1], c = angles[2 * i], s = angles[2 * i + 1];
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = a * s + b * c;
  }
}
CPP
fused() { # fused OPTION …: instructions that multiply and add as one
  LD_LIBRARY_PATH=usr/lib/x86_64-linux-gnu usr/lib/gcc/x86_64-linux-gnu/12/cc1plus -quiet rope.cpp -o rope.s -mavx2 -mfma -ffp-contract=off "$@"
  grep -oE 'vfn?m(add|sub|addsub|subadd)[0-9]+[ps]s' rope.s | sort | uniq -c | tr -s ' ' || true
}
echo "g++ $version, -mavx2 -mfma -ffp-contract=off: -O2:$(fused -O2 | tr '\n' ' ' || true); -O3:$(fused -O3 | tr '\n' ' ')"
[[ -z $(fused -O2) && $(fused -O3) == *vfmaddsub* ]] || { echo 'otherwise' && exit 1; }
