"""Libraries for nearest vectors, measured at the size of a large collection: which one `nysformer search` stands on.

    python -m venv libraries
    libraries/bin/pip install numpy scikit-learn faiss-cpu hnswlib usearch voyager annoy pynndescent lancedb turbovec
    python benchmarks/vectors.py --python libraries/bin/python [--vectors FILE.npy] [--queries FILE.npy]

Every candidate runs in processes of its own with one thread. Builds and queries are timed in turns, round by round, and
the least of the rounds counts: other work on the machine only ever adds. Recall is the share of the ten nearest vectors
by exact cosine that a candidate finds. Load time and memory are those of a fresh process that loads the index.

Without `--vectors` they are drawn: clusters on the unit sphere, of sizes that follow Zipf's law.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

K = 10
CONNECTIVITY, EXPANSION_ADD = 16, 200
Matrix = NDArray[np.float32]


class Candidate:
    """One way to find nearest vectors by cosine; vectors have length 1.

    Attributes:
        package: that has to be installed.
        settings: of the search, each measured by itself; the larger, the more is looked at.
    """

    package: ClassVar[str]
    settings: ClassVar[tuple[int, ...]] = (0,)

    def build(self, vectors: Matrix) -> None:
        raise NotImplementedError

    def save(self, path: Path) -> None:
        raise NotImplementedError

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        raise NotImplementedError

    def search(self, query: Matrix, setting: int) -> Any:
        """(k) numbers of the nearest vectors of one query, (D)."""
        raise NotImplementedError


class Numpy(Candidate):
    package = "numpy"

    def build(self, vectors: Matrix) -> None:
        self.vectors = np.array(vectors)

    def save(self, path: Path) -> None:
        with path.open("wb") as file:
            np.save(file, self.vectors)

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.vectors = np.load(path)

    def search(self, query: Matrix, setting: int) -> Any:
        scores = self.vectors @ query
        best = np.argpartition(scores, -K)[-K:]
        return best[np.argsort(-scores[best])]


class ScikitLearn(Candidate):
    package = "scikit-learn"

    def build(self, vectors: Matrix) -> None:
        neighbors = import_module("sklearn.neighbors")
        self.index = neighbors.NearestNeighbors(n_neighbors=K, metric="cosine", algorithm="brute").fit(vectors)

    def save(self, path: Path) -> None:
        import_module("joblib").dump(self.index, path)

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = import_module("joblib").load(path)

    def search(self, query: Matrix, setting: int) -> Any:
        return self.index.kneighbors(query[None], return_distance=False)[0]


class _Faiss(Candidate):
    package = "faiss-cpu"

    def __init__(self) -> None:
        self.faiss = import_module("faiss")
        self.faiss.omp_set_num_threads(1)

    def make(self, dimension: int) -> Any:
        raise NotImplementedError

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        if not self.index.is_trained:
            self.index.train(vectors)
        self.index.add(vectors)

    def save(self, path: Path) -> None:
        self.faiss.write_index(self.index, str(path))

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = self.faiss.read_index(str(path))

    def set(self, setting: int) -> None:
        pass

    def search(self, query: Matrix, setting: int) -> Any:
        self.set(setting)
        return self.index.search(query[None], K)[1][0]


class FaissFlat(_Faiss):
    def make(self, dimension: int) -> Any:
        return self.faiss.IndexFlatIP(dimension)


class FaissHnsw(_Faiss):
    settings = (32, 64, 128, 256)

    def make(self, dimension: int) -> Any:
        index = self.faiss.IndexHNSWFlat(dimension, CONNECTIVITY, self.faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = EXPANSION_ADD
        return index

    def set(self, setting: int) -> None:
        self.index.hnsw.efSearch = setting


class FaissIvf(_Faiss):
    settings = (8, 16, 32, 64)

    def make(self, dimension: int) -> Any:
        return self.faiss.IndexIVFFlat(
            self.faiss.IndexFlatIP(dimension), dimension, 1024, self.faiss.METRIC_INNER_PRODUCT
        )

    def set(self, setting: int) -> None:
        self.index.nprobe = setting


class FaissIvfSq8(FaissIvf):
    def make(self, dimension: int) -> Any:
        kind = self.faiss.ScalarQuantizer.QT_8bit
        flat = self.faiss.IndexFlatIP(dimension)
        return self.faiss.IndexIVFScalarQuantizer(flat, dimension, 1024, kind, self.faiss.METRIC_INNER_PRODUCT)


class Hnswlib(Candidate):
    package = "hnswlib"
    settings = (32, 64, 128, 256)

    def make(self, dimension: int) -> Any:
        index = import_module("hnswlib").Index(space="ip", dim=dimension)
        index.set_num_threads(1)
        return index

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        self.index.init_index(len(vectors), ef_construction=EXPANSION_ADD, M=CONNECTIVITY)
        self.index.add_items(vectors, num_threads=1)

    def save(self, path: Path) -> None:
        self.index.save_index(str(path))

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = self.make(shape[1])
        self.index.load_index(str(path))

    def search(self, query: Matrix, setting: int) -> Any:
        self.index.set_ef(setting)
        return self.index.knn_query(query, K, num_threads=1)[0][0]


class Usearch(Candidate):
    package = "usearch"
    settings = (32, 64, 128, 256)
    dtype: ClassVar[str] = "f32"

    def make(self, dimension: int) -> Any:
        index = import_module("usearch.index")
        return index.Index(
            ndim=dimension,
            metric="ip",
            dtype=self.dtype,
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
        )

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        self.index.add(np.arange(len(vectors)), vectors, threads=1)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = self.make(shape[1])
        self.index.load(str(path))

    def search(self, query: Matrix, setting: int) -> Any:
        self.index.expansion_search = setting
        return self.index.search(query, K, threads=1).keys


class UsearchHalf(Usearch):
    dtype = "f16"


class UsearchInt8(Usearch):
    dtype = "i8"


class UsearchMapped(UsearchHalf):
    """The same file, mapped and not loaded."""

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = self.make(shape[1])
        self.index.view(str(path))


class Voyager(Candidate):
    package = "voyager"
    settings = (32, 64, 128, 256)

    def build(self, vectors: Matrix) -> None:
        voyager = import_module("voyager")
        self.index = voyager.Index(
            voyager.Space.InnerProduct, vectors.shape[1], M=CONNECTIVITY, ef_construction=EXPANSION_ADD
        )
        self.index.add_items(vectors, num_threads=1)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = import_module("voyager").Index.load(str(path))

    def search(self, query: Matrix, setting: int) -> Any:
        return self.index.query(query, K, num_threads=1, query_ef=setting)[0]


class Annoy(Candidate):
    package = "annoy"
    settings = (1000, 4000, 16000)

    def make(self, dimension: int) -> Any:
        return import_module("annoy").AnnoyIndex(dimension, "dot")

    def build(self, vectors: Matrix) -> None:
        self.index = self.make(vectors.shape[1])
        for number, vector in enumerate(vectors):
            self.index.add_item(number, vector)
        self.index.build(50, n_jobs=1)

    def save(self, path: Path) -> None:
        self.index.save(str(path))

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = self.make(shape[1])
        self.index.load(str(path))

    def search(self, query: Matrix, setting: int) -> Any:
        return self.index.get_nns_by_vector(query, K, search_k=setting)


class PyNNDescent(Candidate):
    package = "pynndescent"
    settings = (5, 10, 20)  # hundredths of epsilon

    def build(self, vectors: Matrix) -> None:
        module = import_module("pynndescent")
        self.index = module.NNDescent(np.array(vectors), metric="cosine", n_neighbors=30, n_jobs=1, random_state=0)
        self.index.prepare()

    def save(self, path: Path) -> None:
        import_module("joblib").dump(self.index, path)

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = import_module("joblib").load(path)

    def search(self, query: Matrix, setting: int) -> Any:
        return self.index.query(query[None], k=K, epsilon=setting / 100)[0][0]


class LanceDb(Candidate):
    package = "lancedb"
    settings = (20, 40, 80)

    def build(self, vectors: Matrix) -> None:
        pa = import_module("pyarrow")
        self.folder = tempfile.TemporaryDirectory(dir=os.environ["TMPDIR"])
        column = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(vectors)), vectors.shape[1])
        data = pa.table({"id": pa.array(np.arange(len(vectors))), "vector": column})
        self.table = import_module("lancedb").connect(self.folder.name).create_table("vectors", data)
        self.table.create_index(metric="dot", num_partitions=316, index_type="IVF_HNSW_SQ", m=16, ef_construction=200)

    def save(self, path: Path) -> None:
        import_module("shutil").copytree(self.folder.name, path)

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.table = import_module("lancedb").connect(str(path)).open_table("vectors")

    def search(self, query: Matrix, setting: int) -> Any:
        search = self.table.search(query).distance_type("dot").nprobes(setting).refine_factor(2)
        return search.select(["id"]).limit(K).to_arrow()["id"].to_numpy()


class TurboVec(Candidate):
    """Vectors compressed to four bits per number, all of them compared."""

    package = "turbovec"

    def build(self, vectors: Matrix) -> None:
        self.index = import_module("turbovec").TurboQuantIndex(vectors.shape[1], 4)
        self.index.add(vectors)
        self.index.prepare()

    def save(self, path: Path) -> None:
        self.index.write(str(path))

    def load(self, path: Path, shape: tuple[int, int]) -> None:
        self.index = import_module("turbovec").TurboQuantIndex.load(str(path))

    def search(self, query: Matrix, setting: int) -> Any:
        return self.index.search(query[None], K)[1][0]


CANDIDATES: dict[str, Callable[[], Candidate]] = {
    "numpy": Numpy,
    "scikit-learn brute": ScikitLearn,
    "faiss flat": FaissFlat,
    "faiss HNSW": FaissHnsw,
    "faiss IVF": FaissIvf,
    "faiss IVF int8": FaissIvfSq8,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
    "usearch float16": UsearchHalf,
    "usearch float16 mapped": UsearchMapped,
    "usearch int8": UsearchInt8,
    "voyager": Voyager,
    "annoy": Annoy,
    "pynndescent": PyNNDescent,
    "lancedb": LanceDb,
    "turbovec 4 bits": TurboVec,
}


def clustered(count: int, dimension: int, seed: int = 0) -> Matrix:
    """Vectors of length 1 in count / 50 clusters, in a subspace of a quarter of the dimensions and some noise."""
    rng = np.random.default_rng(seed)
    clusters = max(1, count // 50)
    basis = rng.standard_normal((dimension // 4, dimension), dtype=np.float32) / np.sqrt(dimension)
    centres = rng.standard_normal((clusters, dimension // 4), dtype=np.float32) @ basis
    shares = 1 / np.arange(1, clusters + 1) ** 0.7
    of = rng.choice(clusters, count, p=shares / shares.sum())
    spread = rng.standard_normal((count, dimension // 4), dtype=np.float32) @ basis
    noise = rng.standard_normal((count, dimension), dtype=np.float32) / np.sqrt(dimension)
    return _unit(centres[of] + 0.7 * spread + 0.1 * noise)


def _unit(vectors: Matrix) -> Matrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def exact(vectors: Matrix, queries: Matrix) -> NDArray[np.int64]:
    """(queries, k) the nearest by cosine."""
    return np.stack([np.argsort(-(vectors @ query), kind="stable")[:K] for query in queries])


def _resident() -> float:
    """MiB of this process, and the most it ever was."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return float("nan")


def work(name: str, folder: Path, saved: Path | None) -> None:
    """Answer requests from standard input: build and save, or load, and time queries."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    queries, truth = np.load(folder / "queries.npy"), np.load(folder / "truth.npy")
    candidate = CANDIDATES[name]()
    if isinstance(candidate, (ScikitLearn, PyNNDescent)):
        import_module("sklearn.neighbors" if isinstance(candidate, ScikitLearn) else "pynndescent")
    if saved is None:
        held = np.array(vectors)
        start = time.perf_counter()
        candidate.build(held)
        answer: dict[str, Any] = {"seconds": time.perf_counter() - start}
        path = folder / f"index-{name.replace(' ', '-')}"
        if not path.exists():
            candidate.save(path)
        files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        answer |= {"mib": sum(each.stat().st_size for each in files) / 2**20, "path": str(path)}
        del held
    else:
        before = _resident()
        start = time.perf_counter()
        candidate.load(saved, vectors.shape)
        seconds = time.perf_counter() - start
        candidate.search(queries[0], candidate.settings[0])
        first = time.perf_counter() - start
        for query in queries:
            candidate.search(query, candidate.settings[-1])
        answer = {"seconds": seconds, "first_answer": first, "memory_mib": _resident() - before}
    print(json.dumps(answer), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        chosen = queries[: request["queries"]]
        start = time.perf_counter()
        found = [candidate.search(query, request["setting"]) for query in chosen]
        seconds = (time.perf_counter() - start) / len(chosen)
        hits = [len(set(map(int, one)) & set(row)) / K for one, row in zip(found, truth.tolist(), strict=False)]
        print(json.dumps({"seconds": seconds, "recall": float(np.mean(hits))}), flush=True)


class Worker:
    """A process of one candidate."""

    def __init__(self, python: str, name: str, folder: Path, saved: str | None = None) -> None:
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS")},
            **dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "LANCE_CPU_THREADS"), "1"),
            "TMPDIR": str(folder),
        }
        command = [python, __file__, "--worker", name, "--folder", str(folder)]
        self.process = subprocess.Popen(
            command + (["--saved", saved] if saved else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.began = self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the candidate's process ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, setting: int, queries: int) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"setting": setting, "queries": queries}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(python: str, names: Sequence[str], folder: Path, rounds: int) -> list[dict[str, Any]]:
    """A row per candidate and setting; one that fails has a row that says so."""
    builds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    workers: dict[str, Worker] = {}
    loads: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(2):
        for name in names:
            if turn and not builds[name]:
                continue
            try:
                worker = Worker(python, name, folder)
            except (RuntimeError, ValueError) as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)
                continue
            builds[name].append(worker.began)
            print(f"build {turn} {name}: {worker.began}", file=sys.stderr, flush=True)
            worker.end()
    built = [name for name in names if builds[name]]
    for _ in range(rounds):
        for name in built:
            worker = Worker(python, name, folder, builds[name][0]["path"])
            loads[name].append(worker.began)
            worker.end()
    for name in built:
        workers[name] = Worker(python, name, folder, builds[name][0]["path"])
    asked: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for turn in range(rounds):
        for name in built:
            for setting in CANDIDATES[name].settings:  # type: ignore[attr-defined]
                asked.setdefault((name, setting), []).append(workers[name].ask(setting, 500 if turn == 0 else 100))
        print(f"round {turn} of {rounds}", file=sys.stderr, flush=True)
    for worker in workers.values():
        worker.end()
    rows = []
    for (name, setting), answers in asked.items():
        row = {
            "candidate": name,
            "setting": setting,
            "recall_at_10": answers[0]["recall"],
            "query_ms": 1000 * min(answer["seconds"] for answer in answers),
            "build_s": min(each["seconds"] for each in builds[name]),
            "index_mib": builds[name][0]["mib"],
            "load_s": min(each["seconds"] for each in loads[name]),
            "first_answer_s": min(each["first_answer"] for each in loads[name]),
            "memory_mib": min(each["memory_mib"] for each in loads[name]),
        }
        rows.append(row)
    return rows


def _versions(python: str, names: Sequence[str]) -> dict[str, str]:
    packages = sorted({CANDIDATES[name].package for name in names})  # type: ignore[attr-defined]
    code = "import json, sys; from importlib import metadata as m; print(json.dumps({p: m.version(p) for p in sys.argv[1:]}))"
    found = subprocess.run([python, "-c", code, *packages], capture_output=True, text=True, check=True)
    versions: dict[str, str] = json.loads(found.stdout)
    return versions


def _installed(python: str, name: str) -> bool:
    package = CANDIDATES[name].package  # type: ignore[attr-defined]
    code = f"from importlib import metadata as m; m.version({package!r})"
    return subprocess.run([python, "-c", code], capture_output=True).returncode == 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter that has the libraries")
    parser.add_argument("--vectors", type=Path, help=".npy matrix to search; default: drawn clusters")
    parser.add_argument("--queries", type=Path, help=".npy matrix of queries; default: 500 vectors taken out")
    parser.add_argument("--about", default="drawn clusters", help="what the vectors are, for the record")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384, help="of drawn vectors")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--candidates", nargs="*", default=list(CANDIDATES))
    parser.add_argument("--name", default="vectors", help="of the record")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results")
    for hidden in ("--worker", "--folder", "--saved"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure and write the record."""
    options = _parsed()
    if options.worker:
        work(options.worker, Path(options.folder), None if options.saved is None else Path(options.saved))
        return
    from benchmarks.record import Record, show_table, write_record

    rng = np.random.default_rng(0)
    if options.vectors is None:
        everything = clustered(options.count + 500, options.dimension)
    else:
        everything = _unit(np.load(options.vectors))
        everything = everything[rng.permutation(len(everything))[: options.count + (0 if options.queries else 500)]]
    queries = everything[:500] if options.queries is None else _unit(np.load(options.queries)[:500])
    vectors = everything[500:] if options.queries is None else everything
    names = [name for name in options.candidates if _installed(options.python, name)]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.save(folder / "vectors.npy", vectors)
        np.save(folder / "queries.npy", queries)
        np.save(folder / "truth.npy", exact(vectors, queries))
        rows = measure(options.python, names, folder, options.rounds)
    show_table(f"{len(vectors):,} vectors of {vectors.shape[1]}", rows)
    notes = {
        "vectors": options.about,
        "count": len(vectors),
        "dimension": vectors.shape[1],
        "queries": len(queries),
        "k": K,
        "rounds": options.rounds,
        "threads": 1,
        "timing": "candidates in turns, the least of the rounds; builds twice; the machine did other work too",
        "hnsw": f"M = {CONNECTIVITY}, ef_construction = {EXPANSION_ADD}; setting is ef",
        "settings": "faiss IVF: nprobe of 1,024 lists; annoy: search_k of 50 trees; pynndescent: 100 epsilon; lancedb: "
        "nprobes of 316 lists",
        "libraries": _versions(options.python, names),
        "not_installed": [name for name in options.candidates if name not in names],
    }
    write_record(Record(options.name, "python benchmarks/vectors.py", rows, notes), options.output)


if __name__ == "__main__":
    main()
