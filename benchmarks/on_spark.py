"""One run on Spark as a process of its own, the session's start left out: `python benchmarks/on_spark.py POLICY DATA OUT`.

The last line that it prints is JSON: seconds by the clock and of processors, those of the driver's Python among them, the peak memory of the
driver's two processes and of the largest task's Python in MiB, and how many entries the ledger has, if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import roe
from measure import descendants, is_called, peak_mib, processor_seconds
from roe.ledger.store import open_store
from roe.run.engine import Job
from roe.run.run import RunOptions, run
from roe.run.source import Source
from roe.spark.run import local_session

AS_OF = "2026-02-01"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("policy", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--master", default="local[2]")
    parser.add_argument("--buckets", type=int, help="tasks")
    parser.add_argument("--memory", default="3g", help="of the driver's JVM")
    parser.add_argument("--results", default="64m", help="the most that tasks may send back")
    parser.add_argument("--state", default="", help="the ledger")
    args = parser.parse_args()
    evaluator = roe.compile(roe.load(args.policy))
    session = local_session(args.master, {"spark.driver.memory": args.memory, "spark.driver.maxResultSize": args.results})
    session.range(4, numPartitions=4).mapInArrow(lambda batches: batches, "id long").count()  # now there are workers
    own, used, start = time.process_time(), processor_seconds(os.getpid()), time.perf_counter()
    job = Job(evaluator, Source(evaluator.policy, args.data), AS_OF, form="parts", session=session, buckets=args.buckets, turns="parquet")
    said: list[str] = []
    said += run(job, args.out, RunOptions(args.state, engine="spark", say=said.append)).notes
    figures = {"seconds": time.perf_counter() - start, "processor": processor_seconds(os.getpid()) - used, "notes": said}
    figures["driver"] = time.process_time() - own
    started = [folder for folder in descendants(os.getpid()) if folder.name != str(os.getpid())]
    jvm = [folder for folder in started if is_called(folder, "java")]
    tasks = [peak_mib(folder) for folder in started if folder not in jvm]
    figures |= {"jvm_mib": peak_mib(jvm[0]), "python_mib": peak_mib(Path("/proc/self")), "task_mib": max(tasks, default=0.0)}
    if args.state:
        with open_store(args.state) as store:
            figures["entries"] = store.head().number
    session.stop()
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
