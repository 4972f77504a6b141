#!/usr/bin/env python3
"""Tables as others write them, and what is in them: make_formats.py [FOLDER] (needs pyarrow, pandas, polars, duckdb, fastparquet).

Writes formats/*.parquet, and beside each NAME.jsonl: its rows as pyarrow reads them."""
import datetime, decimal, json, random, sys, uuid
from pathlib import Path
import duckdb, fastparquet, polars, pyarrow as pa, pyarrow.parquet as pq

folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "formats"); folder.mkdir(exist_ok=True)
random.seed(7)


def text(most):
    return "".join(random.choice('abc déf"\\\n\t한국어🙂\x01 ') for _ in range(random.randint(0, most)))


def row(i):
    turns = [dict(role=random.choice(["user", "assistant"]), content=text(9) if random.random() < 0.8 else None,
                  tags=[text(3) for _ in range(random.randint(0, 2))]) for _ in range(random.randint(0, 3))]
    return dict(instruction=text(12) if random.random() < 0.8 else None, input="" if i % 3 else "some", output=text(30), id=i * i - 9,
                score=random.random() if i % 4 else None, ok=i % 3 == 1, messages=None if i % 7 == 3 else turns)


TURN = pa.struct([("role", pa.string()), ("content", pa.string()), ("tags", pa.list_(pa.string()))])
SCHEMA = pa.schema([("instruction", pa.string()), ("input", pa.string()), ("output", pa.large_string()), ("id", pa.int64()),
                    ("score", pa.float64()), ("ok", pa.bool_()), ("messages", pa.list_(TURN))])
table = pa.Table.from_pylist([row(i) for i in range(60)], schema=SCHEMA)
DELTAS = dict.fromkeys(["instruction", "input", "output", "messages.list.element.content"], "DELTA_BYTE_ARRAY")
MORE = dict(id="DELTA_BINARY_PACKED", score="BYTE_STREAM_SPLIT", ok="RLE")
small = dict(row_group_size=25, data_page_size=200)
at = lambda name: str(folder / (name + ".parquet"))
pq.write_table(table, at("pyarrow-snappy"), compression="snappy", **small)
pq.write_table(table, at("pyarrow-v2-gzip-plain"), compression="gzip", data_page_version="2.0", use_dictionary=False, **small)
pq.write_table(table, at("pyarrow-deltas"), compression="none", use_dictionary=False, column_encoding=DELTAS | MORE, **small)
pq.write_table(table, at("pyarrow-lengths"), compression="zstd", use_dictionary=False, data_page_version="2.0",
               column_encoding={name: "DELTA_LENGTH_BYTE_ARRAY" for name in DELTAS} | MORE, **small)
polars.from_arrow(table).write_parquet(at("polars-zstd"), compression="zstd", row_group_size=25)
# As tatsu-lab/alpaca has them: of the example data, every third with an input.
lines = (Path(__file__).parents[2] / "datasets/instructions.jsonl").read_text().splitlines()[:240]
alpaca = [json.loads(line) for line in lines]
for i, record in enumerate(alpaca):
    record["input"] = record.get("input") or ("" if i % 3 else f"Record {i}.")
    record["text"] = "### Instruction:\n" + record["instruction"]
pq.write_table(pa.Table.from_pylist([{k: r[k] for k in ("instruction", "input", "output", "text")} for r in alpaca]), at("alpaca"),
               row_group_size=100)
connection = duckdb.connect(); connection.register("t", table)
connection.execute(f"copy t to '{at('duckdb-v2')}' (format parquet, compression zstd, parquet_version v2)")
fastparquet.write(at("fastparquet-gzip"), table.drop(["messages"]).to_pandas(), compression="GZIP")

moment = datetime.datetime(2024, 2, 29, 23, 59, 59, 123456)
types = pa.table({
    "date": pa.array([datetime.date(1969, 12, 31), datetime.date(2400, 3, 1), None], pa.date32()),
    "ms": pa.array([moment.replace(microsecond=0), datetime.datetime(1960, 1, 1), None], pa.timestamp("ms")),
    "us": pa.array([moment, datetime.datetime(1970, 1, 1), None], pa.timestamp("us")),
    "time": pa.array([moment.time(), datetime.time(0, 0), None], pa.time64("us")),
    "small": pa.array([255, 0, None], pa.uint8()), "large": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "negative": pa.array([-(2**31), 2**31 - 1, None], pa.int32()), "half": pa.array([0.5, -65504.0, 6e-8], pa.float16()),
    "single": pa.array([0.1, -1e30, None], pa.float32()), "price": pa.array([decimal.Decimal("-12.345"), decimal.Decimal("0.001"), None],
                                                                             pa.decimal128(20, 3)),
    "raw": pa.array([b"text", b"\xff\xfe", None], pa.binary()), "id": pa.array([uuid.UUID(int=1).bytes, uuid.UUID(int=2**127).bytes, None],
                                                                                pa.uuid() if hasattr(pa, "uuid") else pa.binary(16)),
    "nothing": pa.nulls(3), "pairs": pa.array([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int32())),
    "grid": pa.array([[[1, 2], [], None], [], None], pa.list_(pa.list_(pa.int16()))),
    "kind": pa.array(["x", "y", None]).dictionary_encode(),
    "deep": pa.array([{"a": {"b": None}}, {"a": None}, None], pa.struct([("a", pa.struct([("b", pa.string())]))])),
})
pq.write_table(types, at("types"))
pq.write_table(pa.table({"old": pa.array([moment, None], pa.timestamp("ns"))}), at("int96"), use_deprecated_int96_timestamps=True)


def plain(value):
    if isinstance(value, list): return [plain(v) for v in value]
    if isinstance(value, tuple): return [plain(v) for v in value]
    if isinstance(value, dict): return {k: plain(v) for k, v in value.items()}
    if isinstance(value, datetime.datetime):
        value = value.replace(tzinfo=None)
        return value.strftime("%Y-%m-%dT%H:%M:%S") + (f".{value.microsecond:06d}" if value.microsecond else "")
    if isinstance(value, datetime.time): return value.strftime("%H:%M:%S") + (f".{value.microsecond:06d}" if value.microsecond else "")
    if isinstance(value, datetime.date): return value.isoformat()
    if isinstance(value, decimal.Decimal): return float(value)
    if isinstance(value, uuid.UUID): return str(value)
    if isinstance(value, bytes):
        try: return value.decode()
        except UnicodeDecodeError: return {"bytes": len(value)}
    return value


for path in sorted(folder.glob("*.parquet")):
    rows = pq.read_table(path).to_pylist()
    path.with_suffix(".jsonl").write_text("".join(json.dumps(plain(r), ensure_ascii=False) + "\n" for r in rows))
