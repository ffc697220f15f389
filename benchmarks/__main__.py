"""All benchmarks, one after the other: `python -m benchmarks`."""

from benchmarks import decode, elasticsearch, match, pipeline

for benchmark in (match, decode, pipeline, elasticsearch):
    print(f"\n{benchmark.__name__.removeprefix('benchmarks.')}\n")
    benchmark.main()
