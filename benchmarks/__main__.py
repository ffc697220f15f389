"""All benchmarks, one after the other: `python -m benchmarks`."""

from benchmarks import decode, kafka, match, pipeline

for benchmark in (match, decode, pipeline, kafka):
    print(f"\n{benchmark.__name__.removeprefix('benchmarks.')}\n")
    benchmark.main()
