"""Libraries for nearest vectors at the size of a large collection: which one `nysformer search` stands on.

Recall is the share of the ten nearest vectors by exact cosine that a library finds. Every library runs in processes of
its own with one thread. Times are CPU time; queries are timed in turns, round by round, and the least counts.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from benchmarks.output import say
from benchmarks.peak import resident_memory
from benchmarks.record import Record, show_table
from benchmarks.vector_libraries import CONNECTIVITY, EXPANSION_ADD, LIBRARIES, LISTS, Matrix, VectorLibrary
from nysformer.inference.stored_vectors import VectorFile

__all__ = ["drawn_vectors", "exact_nearest", "measure_vectors"]

NEAREST = 10
_MODULES = {"faiss-cpu": "faiss"}
_QUERIES = 500
_TIMED = 100

_loaded: dict[str, VectorLibrary] = {}  # of a library's own process


def measure_vectors(count: int = 100_000, dimension: int = 384, rounds: int = 5, vectors: Path | None = None) -> Record:
    """Recall, query time, build time, load time, memory and file size of each library and setting.

    Args:
        count: vectors to search.
        dimension: of each.
        rounds: turns of the queries per library; minima are kept.
        vectors: a file of `nysformer embed` to take them from, some of them as queries; None: they are drawn.

    Raises:
        NysformerError: `vectors` cannot be read.
    """
    names = [name for name, make in LIBRARIES.items() if _installed(make)]
    everything = drawn_vectors(count + _QUERIES, dimension) if vectors is None else _read_vectors(vectors, count)
    count, dimension = len(everything) - _QUERIES, everything.shape[1]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kept, queries = everything[_QUERIES:], everything[:_QUERIES]
        truth = exact_nearest(kept, queries, NEAREST)
        np.save(folder / "vectors.npy", kept)
        np.save(folder / "queries.npy", queries)
        built: dict[str, dict[str, float]] = {}
        for name in names:
            same = LIBRARIES[name]().same_file_as
            if same is not None:
                built[name] = dict(built[same])
                continue
            built[name] = _own_process().submit(_build, name, folder).result()
            say(f"built {name}: {built[name]['build_s']:.1f} s, {built[name]['index_mib']:.0f} MiB")
        pools = {name: _own_process() for name in names}
        for name in names:
            built[name] |= pools[name].submit(_load, name, folder).result()
        times: dict[tuple[str, int], list[float]] = {}
        recalls: dict[tuple[str, int], float] = {}
        for turn in range(rounds):
            for name in names:
                for setting in LIBRARIES[name]().settings:
                    asked = _TIMED if turn else _QUERIES
                    found, seconds = pools[name].submit(_ask, name, folder, setting, asked).result()
                    times.setdefault((name, setting), []).append(seconds)
                    if not turn:
                        recalls[name, setting] = _recall(found, truth)
        for pool in pools.values():
            pool.shutdown()
    for (name, setting), seconds_each in times.items():
        rows.append(
            {
                "library": name,
                "setting": setting,
                "recall_at_10": recalls[name, setting],
                "query_ms": 1000 * min(seconds_each),
                **built[name],
            }
        )
    show_table(f"Nearest vectors, {count:,} of {dimension}", rows)
    notes = {
        "vectors": "drawn: clusters on the unit sphere, of sizes that follow a power law"
        if vectors is None
        else "read",
        "count": count,
        "dimension": dimension,
        "queries": _QUERIES,
        "rounds": rounds,
        "times": "CPU time, one thread",
        "hnsw": f"M = {CONNECTIVITY}, ef_construction = {EXPANSION_ADD}; setting is ef",
        "ivf": f"{LISTS} lists; setting is nprobe",
        "packages": {package: _package(package) for package in sorted({LIBRARIES[name]().package for name in names})},
        "not_installed": [name for name in LIBRARIES if name not in names],
    }
    return Record("vectors", f"python -m benchmarks vectors{'' if vectors is None else ' --vectors FILE'}", rows, notes)


def drawn_vectors(count: int, dimension: int, seed: int = 0) -> Matrix:
    """(count, dimension) vectors of length 1 in count / 50 clusters, in a subspace of a quarter of the dimensions."""
    rng = np.random.default_rng(seed)
    clusters, inner = max(1, count // 50), max(1, dimension // 4)
    basis = rng.standard_normal((inner, dimension), dtype=np.float32) / np.sqrt(dimension)
    shares = 1 / np.arange(1, clusters + 1) ** 0.7
    cluster = rng.choice(clusters, count, p=shares / shares.sum())
    centres = rng.standard_normal((clusters, inner), dtype=np.float32)[cluster]
    spread = rng.standard_normal((count, inner), dtype=np.float32)
    noise = rng.standard_normal((count, dimension), dtype=np.float32) / np.sqrt(dimension)
    vectors = (centres + 0.7 * spread) @ basis + 0.1 * noise
    unit: Matrix = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _read_vectors(path: Path, count: int) -> Matrix:
    """At most `count` vectors and the queries, in random order, of length 1."""
    read = VectorFile(path).vectors()
    chosen = read[np.random.default_rng(0).permutation(len(read))[: count + _QUERIES]]
    unit: Matrix = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    return unit


def exact_nearest(vectors: Matrix, queries: Matrix, count: int) -> NDArray[np.int64]:
    """(queries, count) numbers of the nearest vectors by inner product."""
    return np.stack([np.argsort(-(vectors @ query), kind="stable")[:count] for query in queries])


def _recall(found: list[list[int]], truth: NDArray[np.int64]) -> float:
    hits = [len(set(one) & set(row)) for one, row in zip(found, truth.tolist(), strict=True)]
    return float(np.mean(hits)) / truth.shape[1]


def _own_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread)


def _one_thread() -> None:
    threadpool_limits(1)


def _index_path(name: str, folder: Path) -> Path:
    return folder / (LIBRARIES[name]().same_file_as or name).replace(" ", "-")


def _build(name: str, folder: Path) -> dict[str, float]:
    library = LIBRARIES[name]()
    vectors = np.load(folder / "vectors.npy")
    begin = time.process_time()
    library.build(vectors)
    seconds = time.process_time() - begin
    path = _index_path(name, folder)
    library.save(path)
    return {"build_s": seconds, "index_mib": path.stat().st_size / 2**20}


def _load(name: str, folder: Path) -> dict[str, float]:
    """Open the index in this process, which keeps it."""
    library = _loaded[name] = LIBRARIES[name]()
    queries = np.load(folder / "queries.npy")
    before = resident_memory()
    begin = time.process_time()
    library.load(_index_path(name, folder), queries.shape[1])
    library.search(queries[0], NEAREST, library.settings[0])
    seconds = time.process_time() - begin
    for query in queries:
        library.search(query, NEAREST, library.settings[-1])
    return {"first_answer_s": seconds, "memory_mib": resident_memory() - before}


def _ask(name: str, folder: Path, setting: int, count: int) -> tuple[list[list[int]], float]:
    """What is found, and the seconds per query."""
    queries = np.load(folder / "queries.npy")[:count]
    begin = time.process_time()
    found = [_loaded[name].search(query, NEAREST, setting) for query in queries]
    seconds = (time.process_time() - begin) / count
    return [[int(number) for number in one] for one in found], seconds


def _installed(make: Any) -> bool:
    package = make.package
    return find_spec(_MODULES.get(package, package)) is not None


def _package(name: str) -> dict[str, Any]:
    """Version, licence and the size of its own files, without what it needs."""
    about = metadata.distribution(name)
    sizes = [path.stat().st_size for path in (Path(str(file.locate())) for file in about.files or ()) if path.is_file()]
    told = about.metadata.json
    classifiers = [each for each in told.get("classifier", ()) if each.startswith("License ::")]
    licence = told.get("license_expression") or told.get("license") or (classifiers or ["unnamed"])[-1]
    return {
        "version": about.version,
        "installed_mib": sum(sizes) / 2**20,
        "licence": str(licence).rpartition(":: ")[2].partition("\n")[0],
    }
