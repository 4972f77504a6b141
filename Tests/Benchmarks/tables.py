#!/usr/bin/env python3
"""Seconds from a table of a million rows (about 215 MB) to records, by sft and by what people read tables with in Python.

Needs pyarrow and pandas. Makes tables.parquet and tables.csv in FOLDER where they are missing; each reader is run in turn, ROUNDS times.

usage: tables.py PATH_TO_SFT [FOLDER (.) [ROUNDS (3)]]
"""
import csv
import os
import random
import statistics
import subprocess
import sys
import time

import pandas
import pyarrow
import pyarrow.csv
import pyarrow.parquet

sft = os.path.abspath(sys.argv[1])
os.chdir(sys.argv[2] if len(sys.argv) > 2 else ".")
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
if not os.path.exists("tables.parquet"):
    source = random.Random(2)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz", k=source.randint(2, 9))) for _ in range(5000)]
    texts = lambda n: " ".join(source.choices(words, k=n))
    count = 1_000_000
    columns = {"instruction": [texts(8) for _ in range(count)], "input": ["" if i % 3 else texts(5) for i in range(count)],
               "output": [texts(25) for _ in range(count)]}
    pyarrow.parquet.write_table(pyarrow.table(columns), "tables.parquet")
if not os.path.exists("tables.csv"):
    pyarrow.parquet.read_table("tables.parquet").to_pandas().to_csv("tables.csv", index=False)


def by_sft(path):
    with open(os.devnull, "w") as nowhere:
        subprocess.run([sft, "inspect", "records", path], stdout=nowhere, check=True)


readers = {
    "Parquet, sft": lambda: by_sft("tables.parquet"),
    "Parquet, pyarrow to_pylist": lambda: pyarrow.parquet.read_table("tables.parquet").to_pylist(),
    "CSV, sft": lambda: by_sft("tables.csv"),
    "CSV, pyarrow to_pylist": lambda: pyarrow.csv.read_csv("tables.csv").to_pylist(),
    "CSV, csv.DictReader": lambda: sum(1 for _ in csv.DictReader(open("tables.csv", newline=""))),
    "CSV, pandas to_dict": lambda: pandas.read_csv("tables.csv", keep_default_na=False).to_dict("records"),
}
seconds = {name: [] for name in readers}
for _ in range(rounds):
    for name, read in readers.items():
        start = time.perf_counter()
        read()
        seconds[name].append(time.perf_counter() - start)
for name, values in seconds.items():
    own = seconds[name.split(",")[0] + ", sft"]
    ratio = statistics.median(value / mine for value, mine in zip(values, own))
    print(f"{name:28} {statistics.median(values):6.2f} s  {ratio:5.2f} times sft's")
