"""A full-size model at the machine's ceilings: loads within 12 GiB, decode ≥ 85 % of the read bandwidth probed beside it, prefill of 512
tokens ≥ 60 % of the dot-product peak probed beside it. Usage: full_size.py --binary BINARY --model DIR [--threads N]"""

import argparse
import json
import subprocess
import sys

MEMORY, DECODE, PREFILL = 12 * 2**30, 0.85, 0.60


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--threads", default="0")
    options = parser.parse_args()
    result = subprocess.run([options.binary, "bench", "--model", options.model, "--threads", options.threads, "--json", "--prefill", "512",
                             "--decode", "0", "--batch", "none", "--steps", "64"], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        return result.returncode
    report = json.loads(result.stdout)
    (decode,), (prefill,) = report["decode"], report["prefill"]
    checks = [("resident memory, GiB", report["peak_resident_bytes"] / 2**30, MEMORY / 2**30, report["peak_resident_bytes"] <= MEMORY),
              ("decode, share of bandwidth", decode["share"], DECODE, decode["share"] >= DECODE),
              ("prefill, share of dot peak", prefill["share"], PREFILL, prefill["share"] >= PREFILL)]
    print(f"{report['model']} ({report['parameters']} parameters, {report['kernels']}, {report['threads']} threads): loaded in "
          f"{report['load_seconds']:.1f} s; decode {decode['tokens_per_second']:.2f} of {decode['ceiling']:.2f} tokens/s at "
          f"{decode['read_gbs']:.1f} GB/s; prefill {prefill['tokens_per_second']:.1f} of {prefill['ceiling']:.1f} tokens/s at "
          f"{prefill['dot_gops']:.0f} Gop/s")
    for name, value, limit, good in checks:
        print(f"{'ok  ' if good else 'FAIL'} {name}: {value:.3f} (limit {limit:.2f})")
    return 0 if all(good for *_, good in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
