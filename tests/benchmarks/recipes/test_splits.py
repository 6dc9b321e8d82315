"""Groups stay together, and the same seed gives the same split."""

from benchmarks.recipes.splits import by_near_duplicates, folds, held_out


def test_near_duplicates_are_on_one_side() -> None:
    texts = [f"word{number} apple{number} pear{number} plum{number} fig{number // 2}" for number in range(60)]
    texts += [f"{text} end" for text in texts]
    sides, groups = by_near_duplicates(texts, [str(place) for place in range(120)], ["a"] * 120, seed=0)
    assert groups[:60] == groups[60:]
    assert sides[:60] == sides[60:]
    assert set(sides) == {"train", "valid", "test"}
    assert by_near_duplicates(texts, [str(place) for place in range(120)], ["a"] * 120, seed=0) == (sides, groups)


def test_folds_share_the_labels() -> None:
    labels = ["a", "b"] * 10
    fold = folds(labels, 5, seed=0)
    assert all(sorted(label for label, n in zip(labels, fold, strict=True) if n == k) == list("aabb") for k in range(5))


def test_held_out_keeps_a_lone_document_for_training() -> None:
    labels = ["a"] * 10 + ["b"]
    chosen = held_out(labels, 0.2, seed=0)
    assert len(chosen) == 2
    assert 10 not in chosen
    grouped = held_out(labels, 0.2, seed=0, groups=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5])
    assert len(grouped) == 2
    assert len({place // 2 for place in grouped}) == 1
