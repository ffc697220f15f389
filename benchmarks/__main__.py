"""All benchmarks, one after the other: `python -m benchmarks`."""

from benchmarks import (
    backtest,
    decode,
    elasticsearch,
    endtoend,
    faults,
    held,
    kafka,
    kubernetes,
    match,
    nodes,
    pipeline,
    storm,
)

_ALL = (match, decode, faults, pipeline, storm, held, backtest, nodes, kafka, elasticsearch, endtoend, kubernetes)

for benchmark in _ALL:
    print(f"\n{benchmark.__name__.removeprefix('benchmarks.')}\n")
    benchmark.main()
