# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import csv
import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.annotators.judgements import JudgementsAnnotator
from audit.errors import ConfigError
from audit.images import pixel_digest
from tests.asking import record


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [record(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), name=f"r{i}") for i in range(4)]


@pytest.fixture(scope="module")
def run(images, tmp_path_factory):
    """A run as it lies on disk: two prompts of one generator, two repetitions, and a request without an image."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "generations").mkdir()
    rows = [("g", f"p{i // 2}", i % 2) for i in range(5)]
    requests = [
        {"request_id": f"r{i}", "generator": g, "probe": "set", "prompt_id": p, "repetition": k, "text": "x"}
        for i, (g, p, k) in enumerate(rows)
    ]
    pq.write_table(pa.Table.from_pylist(requests), folder / "requests.parquet")
    made = [{"request_id": i.request_id, "sha256": i.sha256, "pixels": pixel_digest(i.rgb)} for i in images]
    for index, part in enumerate((made[:3], [*made[3:], {"request_id": "r4", "sha256": None, "pixels": None}])):
        pq.write_table(pa.Table.from_pylist(part), folder / "generations" / f"part-{index}.parquet")
    return folder


@pytest.fixture
def write(tmp_path):
    def table(rows, suffix=".jsonl"):
        path = tmp_path / f"judged{suffix}"
        if suffix == ".jsonl":
            path.write_text("\n".join(json.dumps(row) for row in rows))
        elif suffix == ".parquet":
            pq.write_table(pa.Table.from_pylist(rows), path)
        else:
            with path.open("w", newline="") as stream:
                writer = csv.DictWriter(stream, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return str(path)

    return table


def told(answers, **more):
    return [{"request_id": f"r{i}", "correct": answer, **more} for i, answer in enumerate(answers)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_yes_no_and_cannot_tell_in_every_format(write, run, images, suffix):
    path = write(told(["yes", "no", "cannot tell"], judge="geneval", judged_at="2026-03-01T12:00:00Z"), suffix)
    columns = JudgementsAnnotator(table=path, run=str(run)).annotate(images)
    assert columns["correct"].tolist() == ["yes", "no", "could not tell", None]
    assert columns["judge"].tolist() == ["geneval"] * 3 + [None]
    at = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    np.testing.assert_array_equal(columns["judged_at"], [at, at, at, np.nan])
    assert columns["again"].tolist() == columns["people"].tolist() == [None] * 4


@pytest.mark.parametrize(
    ("cell", "answer"),
    [(True, "yes"), (False, "no"), (1, "yes"), (0, "no"), (1.0, "yes"), ("TRUE", "yes"), ("0", "no"), (None, None)],
)
def test_spellings(write, run, images, cell, answer):
    path = write(told([cell], score=0.25))
    columns = JudgementsAnnotator(table=path, run=str(run)).annotate(images)
    assert (columns["correct"][0], columns["score"][0]) == (answer, 0.25)


@pytest.mark.parametrize("key", ["sha256", "pixels"])
def test_images_found_by_digest(write, run, images, key):
    digests = [image.sha256 if key == "sha256" else pixel_digest(image.rgb) for image in images]
    rows = [{key: digest, "correct": i % 2} for i, digest in enumerate(digests)]
    columns = JudgementsAnnotator(table=write(rows), run=str(run)).annotate(images[::-1])
    assert columns["correct"].tolist() == ["yes", "no", "yes", "no"]


def test_images_found_by_generator_prompt_and_repetition(write, run, images):
    rows = [{"generator": "g", "prompt_id": f"p{i // 2}", "repetition": i % 2, "correct": i != 2} for i in range(4)]
    columns = JudgementsAnnotator(table=write(rows, ".csv"), run=str(run)).annotate(images)
    assert columns["correct"].tolist() == ["yes", "yes", "no", "yes"]
    with pytest.raises(ConfigError, match="alone do not name an image") as caught:
        JudgementsAnnotator(table=write(rows), extra="ignore")
    assert "run" in caught.value.hint


def test_a_prompt_of_two_probe_sets_is_ambiguous(write, tmp_path):
    row = {"generator": "g", "prompt_id": "p", "repetition": 0}
    requests = [{**row, "request_id": f"r{i}", "probe": f"set{i}"} for i in range(2)]
    pq.write_table(pa.Table.from_pylist(requests), tmp_path / "requests.parquet")
    with pytest.raises(ConfigError, match="two probe sets have a prompt 'p'"):
        JudgementsAnnotator(table=write([{**row, "correct": True}]), run=str(tmp_path))


@pytest.mark.parametrize(
    "rows",
    [
        [{"request_id": "r9", "correct": "yes"}, {"request_id": "r9", "correct": "no", "question": "b"}],
        [{"sha256": "0" * 64, "correct": "yes"}, {"sha256": "1" * 64, "correct": "yes"}],
        [{"generator": "other", "prompt_id": "p0", "repetition": k, "correct": "yes"} for k in range(2)],
    ],
)
def test_judgements_of_other_images_are_counted_and_refused(write, run, images, rows):
    known = {"request_id": "r0", "sha256": images[0].sha256, "generator": "g", "prompt_id": "p0", "repetition": 0}
    path = write([{**{name: known[name] for name in rows[0] if name in known}, "correct": "yes"}, *rows])
    with pytest.raises(ConfigError, match=r"2 of 3 rows are about no image") as caught:
        JudgementsAnnotator(table=path, run=str(run))
    assert caught.value.where.endswith("judged.jsonl:2")
    assert "extra: ignore" in caught.value.hint
    columns = JudgementsAnnotator(table=path, run=str(run), extra="ignore").annotate(images)
    assert columns["correct"].tolist() == ["yes", None, None, None]


def test_without_a_run_other_images_would_go_unnoticed(write):
    with pytest.raises(ConfigError, match="no `run` given"):
        JudgementsAnnotator(table=write(told(["yes"])))


def test_an_image_is_correct_if_every_question_is_answered_yes(write, run, images):
    """As in GenEval an image is right as a whole; the share of questions, as in TIFA, is its score."""
    answers = {"r0": "yyy", "r1": "yny", "r2": "y?y", "r3": "n?y"}
    spelt = {"y": "yes", "n": "no", "?": "cannot tell"}
    rows = [
        {"request_id": who, "question": f"q{k}", "correct": spelt[letter]}
        for who, said in answers.items()
        for k, letter in enumerate(said)
    ]
    columns = JudgementsAnnotator(table=write(rows), run=str(run)).annotate(images)
    assert columns["correct"].tolist() == ["yes", "no", "could not tell", "no"]
    np.testing.assert_allclose(columns["score"], [1, 2 / 3, 1, 0.5])


def test_scores_that_are_given_are_averaged(write, run, images):
    rows = [{"request_id": "r0", "question": q, "score": s} for q, s in (("a", 0.5), ("b", 1.0), ("c", None))]
    columns = JudgementsAnnotator(table=write(rows), run=str(run)).annotate(images[:1])
    assert (columns["correct"][0], columns["score"][0]) == (None, 0.75)


def test_the_same_judge_later(write, run, images):
    rows = [
        *told(["no", "yes"], judge="j", judged_at="2026-06-01"),
        *told(["yes", "yes", "no"], judge="j", judged_at="2026-03-01 10:00:00+02:00"),
    ]
    columns = JudgementsAnnotator(table=write(rows), run=str(run)).annotate(images)
    assert columns["correct"].tolist() == ["yes", "yes", "no", None]
    assert columns["again"].tolist() == ["no", "yes", None, None]
    assert columns["again_judge"].tolist() == ["j", "j", None, None]
    first, later = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    assert (columns["judged_at"][0], columns["again_at"][0]) == (first.timestamp(), later.timestamp())


def test_another_judge_and_people(write, run, images):
    rows = [
        *told(["yes", "no", "yes"], judge="geneval"),
        *told(["no", "no"], judge="soft-tifa"),
        *(row for rater in "abc" for row in told(["yes" if rater != "c" else "no", "no"], judge="people", rater=rater)),
        {"request_id": "r2", "correct": "yes", "judge": "people", "rater": "a"},
        {"request_id": "r2", "correct": "no", "judge": "people", "rater": "b"},
    ]
    path = write(rows)
    with pytest.raises(ConfigError, match="2 judges, and the option `judge` does not say") as caught:
        JudgementsAnnotator(table=path, run=str(run))
    assert caught.value.hint == "judges of the table: geneval, soft-tifa"
    columns = JudgementsAnnotator(table=path, run=str(run), judge="geneval", second="soft-tifa").annotate(images)
    assert columns["correct"].tolist() == ["yes", "no", "yes", None]
    assert columns["again"].tolist() == ["no", "no", None, None]
    assert columns["people"].tolist() == ["yes", "no", "could not tell", None]


def test_a_table_by_people_alone(write, run, images):
    rows = [
        {"request_id": "r0", "correct": answer, "score": score, "judge": "people", "rater": rater}
        for rater, answer, score in (("a", "yes", 4), ("b", "no", 1), ("c", "yes", 4))
    ]
    columns = JudgementsAnnotator(table=write(rows), run=str(run)).annotate(images[:1])
    assert (columns["correct"][0], columns["score"][0], columns["judge"][0]) == ("yes", 3.0, "people")
    assert columns["people"][0] is None  # nobody is held against himself


def test_error_of_the_judge(write, run, images, tmp_path):
    counts = tmp_path / "counts.csv"
    cells = [("yes", "yes", 90), ("yes", "no", 10), ("no", "yes", 20), ("no", "no", 80)]
    counts.write_text(
        "\n".join(["attribute,truth,answer,count", *(f"correct,{truth},{said},{n}" for truth, said, n in cells)])
    )
    annotator = JudgementsAnnotator(table=write(told(["yes"])), run=str(run), operating=str(counts))
    table = annotator.spec.operating["correct"]
    assert table.counts == ((90, 10, 0), (20, 80, 0))
    assert table.answers == ("yes", "no", "could not tell")


def test_digest_follows_what_was_judged_and_not_how_it_is_written(write, run):
    rows = told(["yes", "no"], judge="j")
    jsonl = JudgementsAnnotator(table=write(rows), run=str(run)).spec.digest
    assert JudgementsAnnotator(table=write(rows[::-1], ".csv"), run=str(run)).spec.digest == jsonl
    assert JudgementsAnnotator(table=write(told(["yes", "yes"], judge="j")), run=str(run)).spec.digest != jsonl


@pytest.mark.parametrize(
    ("rows", "message", "line"),
    [
        ([{"image": "a.png", "correct": True}], "says nowhere which images are meant", None),
        ([{"request_id": "r0", "reason": "nice"}], "neither a column correct nor a column score", None),
        ([{"request_id": "r0", "correct": "probably"}], "'probably' is no judgement", 1),
        ([{"request_id": "r0", "correct": True}, {"request_id": "", "correct": True}], "no request_id", 2),
        ([{"request_id": "r0", "score": "high"}], "'high' is no score", 1),
        ([{"request_id": "r0", "score": "nan"}], "'nan' is no score", 1),
        ([{"request_id": "r0", "correct": 1, "judged_at": "last week"}], "'last week' is no time", 1),
        (told(["yes"], judge="j") * 2, "j judges an image twice at one time", 2),
    ],
)
def test_tables_that_cannot_be_read(write, run, rows, message, line):
    with pytest.raises(ConfigError, match=message) as caught:
        JudgementsAnnotator(table=write(rows), run=str(run))
    assert caught.value.hint
    assert line is None or caught.value.where.endswith(f"judged.jsonl:{line}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tabel": "x"}, "unknown option 'tabel'"),
        ({"table": None}, "no table of judgements given"),
        ({"extra": "drop"}, "extra: 'drop' is unknown"),
        ({"judge": "gpt"}, "no row is by the judge 'gpt'"),
        ({"run": "/no/run"}, "cannot be read"),
        ({"table": "/no/table.csv"}, "cannot be read"),
        ({"table": "/no/table.xlsx"}, "cannot read .xlsx"),
    ],
)
def test_wrong_options(write, run, options, message):
    with pytest.raises(ConfigError, match=message):
        JudgementsAnnotator(**{"table": write(told(["yes"])), "run": str(run), **options})
