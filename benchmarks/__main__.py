"""All benchmarks, one after the other: `python -m benchmarks`."""

from benchmarks import backtest, decode, match, pipeline

for benchmark in (match, decode, pipeline, backtest):
    print(f"\n{benchmark.__name__.removeprefix('benchmarks.')}\n")
    benchmark.main()
