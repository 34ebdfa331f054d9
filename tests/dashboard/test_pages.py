# SPDX-License-Identifier: Apache-2.0
"""Each page on a real run folder, and on folders that are broken, empty or not judged."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from audit.runs import Run

STEPS = {"diffusion": 20, "gan": 5}
PAGES = ("overview", "bias", "quality", "likeness", "images", "provenance")


def texts(app):
    kinds = (app.title, app.subheader, app.caption, app.markdown, app.text, app.error, app.success, app.info)
    return normal(" ".join(item.value for kind in kinds for item in kind))


def normal(text):
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


def table(app, *columns):
    """The first data frame that has these columns."""
    found = next(frame.value for frame in app.dataframe if set(columns) <= set(frame.value.columns))
    return found.map(lambda value: normal(value) if isinstance(value, str) else value)


@pytest.mark.parametrize("page", PAGES)
def test_page_renders(dashboard, run_folder, page):
    app = dashboard(run_folder, page=page)
    assert not app.exception
    assert len(app.title) == 1
    assert not app.error or page == "overview"


def test_overview_tells_verdict_counts_and_numbers(dashboard, run_folder):
    app = dashboard(run_folder)
    verdict = json.loads((run_folder / "verdict.json").read_text())
    assert app.error[0].value.startswith("**FAIL** under policy *quickstart*")
    for label, decision in (("Fail", "fail"), ("Not run", "not_run"), ("Waived", "waived"), ("Pass", "pass")):
        counted = sum(finding["decision"] == decision for finding in verdict["findings"])
        assert next(item.value for item in app.metric if item.label == label) == str(counted)
    frame = table(app, "Finding", "Judgement")
    assert len(frame) == len(verdict["findings"])
    assert list(frame["Judgement"][0]) == ["Fail"]
    numbers = "".join(item.value.to_string() for item in app.dataframe)
    assert "32.0 [28.8, 35.2]" in normal(numbers)


def test_repeated_pictures_are_a_warning(dashboard, own_run):
    assert not dashboard(own_run).warning
    run = Run.open(own_run)
    counts = {"pictures": 24, "duplicates": 3, "distinct": 21, "elsewhere": 0, "effective_n": 18.0}
    parts = ({"probe": "occupations"}, {"probe": "occupations", "occupation": "nurse"})
    whole = next(e for e in run.estimates() if e.metric == "outcomes.answered" and e.generator == "gan" and not e.slice)
    more = [replace(whole, metric="outcomes.distinct", slice=part, extra=counts) for part in parts]
    run.put_estimates([*run.estimates(), *more])
    app = dashboard(own_run)
    assert not app.exception
    (warning,) = app.warning
    assert "3 of 24 pictures repeat an earlier one of the same prompt under another seed" in warning.value


def test_findings_are_filtered(dashboard, run_folder):
    app = dashboard(run_folder)
    app.multiselect(key="finding-generators").select("gan").run()
    assert set(table(app, "Finding", "Judgement")["Generator"]) == {"gan"}
    app.text_input(key="finding-words").set_value("NURSE").run()
    frame = table(app, "Finding", "Judgement")
    assert len(frame)
    assert all("nurse" in words for words in frame["Finding"])
    app.get("button_group")[0].set_value(["Waived"]).run()
    assert "0 of 61 findings" in texts(app)


def test_bias_shows_the_chosen_attribute_and_group(dashboard, run_folder):
    app = dashboard(run_folder, page="bias")
    frame = table(app, "Gap to reference [interval]")
    nurse = frame[(frame["Row"] == "nurse") & (frame["Generator"] == "diffusion")].iloc[0]
    assert nurse["Gap to reference [interval]"] == "+40 points [+30, +50]"
    assert (nurse["Share"], nurse["Uncorrected"], list(nurse["Judgement"])) == ("90 %", "88 %", ["Fail"])
    teacher = frame[(frame["Row"] == "teacher") & (frame["Generator"] == "gan")].iloc[0]
    assert teacher["Gap to reference [interval]"] == "no number: 3 images, needs 10"
    assert teacher["Share"] == "–"
    app.get("button_group")[0].set_value("tone_band").run()
    assert "Share perceived as light" in texts(app)
    app.get("button_group")[1].set_value("dark").run()
    assert not app.exception
    assert "Share perceived as dark" in texts(app)


def test_quality_ranks_generators_and_shows_the_images_that_pull_a_number(dashboard, run_folder):
    app = dashboard(run_folder, page="quality")
    places = table(app, "Measure", "Better")
    frechet = places[places["Measure"].str.startswith("Frechet")].iloc[0]
    assert (frechet["diffusion"], frechet["gan"]) == ("1", "2")  # 32 and 44.6, give or take 3.2: lower is better
    assert "32.0 [28.8, 35.2]" in table(app, "Value [interval]")["Value [interval]"].tolist()
    words = texts(app)
    assert "The images that pull it most" in words
    assert words.index("**2**") < words.index("**1\\.95**")  # the first image of all hurts most
    assert "**\\-1**" in words
    app = app.selectbox(key="measure").set_value("quality.clip_score").run()
    assert "The images that pull it most" not in texts(app)  # the run stores no scores for it
    assert not app.exception


def test_quality_draws_the_chosen_measure_over_a_swept_parameter(dashboard, own_run):
    assert "diffusion by steps" not in texts(dashboard(own_run, page="quality"))
    run = Run.open(own_run)
    points = [{"name": name, "swept": {"of": "diffusion", "values": {"steps": steps}}} for name, steps in STEPS.items()]
    run.put_manifest({**run.manifest, "config": {**run.manifest.get("config", {}), "generators": points}})
    app = dashboard(own_run, page="quality")
    assert not app.exception
    assert "diffusion by steps" in texts(app)
    chart = json.loads(app.get("vega_lite_chart")[-1].proto.spec)
    assert len(chart["concat"]) == 1  # the chosen measure, of the one probe set that has it


def test_a_run_without_quality_measures_says_so(dashboard, own_run):
    run = Run.open(own_run)
    run.put_estimates([e for e in run.estimates() if not e.metric.startswith("quality.")])
    app = dashboard(own_run, page="quality")
    assert "holds no measures of quality" in texts(app)


def test_likeness_is_worded_as_similarity_and_blurred(dashboard, run_folder):
    app = dashboard(run_folder, page="likeness")
    assert "between 0.52 % and 1.49 %" in texts(app)
    assert "similar to enrolled reference R\\-03, score 0.740" in texts(app)
    assert len([button for button in app.button if button.label == "Reveal"]) == 4
    app.button(key=next(button.key for button in app.button if button.label == "Reveal")).click().run()
    assert [button.label for button in app.button].count("Hide") == 1


def test_a_run_without_likeness_annotator_gives_no_all_clear(dashboard, own_run):
    for file in own_run.glob("annotations/likeness@*/*"):
        file.unlink()
    app = dashboard(own_run, page="likeness")
    assert "compared nothing with enrolled references" in texts(app)
    assert "None of" not in texts(app)


def test_no_match_is_said_with_the_number_of_searches(dashboard, own_run):
    file = next(own_run.glob("annotations/likeness@*/part-00000.parquet"))
    found = pq.read_table(file)
    place = found.column_names.index("above")
    pq.write_table(found.set_column(place, "above", pc.multiply(found["above"], 0.0)), file)
    assert "None of 56 searched pictures" in texts(dashboard(own_run, page="likeness"))


def test_images_are_paged_and_filtered(dashboard, run_folder):
    app = dashboard(run_folder, page="images")
    assert "1 to 24 of 72 requests" in texts(app)
    app.multiselect(key="image-outcomes").select("error").run()
    assert "1 to 1 of 1 requests" in texts(app)
    app.multiselect(key="image-generators").select("diffusion").run()
    assert "No request passes these filters" in texts(app)
    assert not app.exception


def test_details_dialog_holds_prompt_seed_and_credentials(dashboard, run_folder):
    app = dashboard(run_folder, page="images")
    planned = pq.read_table(run_folder / "requests.parquet").to_pylist()[0]
    app.button(key=f"image-details-{planned['request_id']}").click().run()
    assert not app.exception
    shown = "\n".join(frame.value.to_string() for frame in app.dataframe)
    assert planned["text"] in texts(app)
    for value in (str(planned["seed"]), planned["request_id"], "valid_untrusted", "feminine"):
        assert value in shown


def test_only_sensitive_pictures_start_blurred(dashboard, run_folder):
    app = dashboard(run_folder, page="images")
    app.multiselect(key="image-probes").select("named_people").run()
    rows = {row["request_id"]: row for row in pq.read_table(run_folder / "requests.parquet").to_pylist()}
    hidden = {button.key.removeprefix("image-reveal-") for button in app.button if button.label == "Reveal"}
    assert len(hidden) == 12
    assert all(json.loads(rows[request_id]["tags"]) == ["sensitive"] for request_id in hidden)
    app.toggle(key="image-reveal").set_value(True).run()
    assert not [button for button in app.button if button.label == "Reveal"]


def test_provenance_counts_states_and_explains(dashboard, run_folder):
    app = dashboard(run_folder, page="provenance")
    frame = table(app, "Meaning").set_index("State")
    assert dict(frame["Pictures"]) == {"valid, not trusted": 55, "invalid": 6, "absent": 6}
    assert "who signed is only what the signer says" in texts(app)
    assert "12 in all." in texts(app)


def test_hostile_text_reaches_markdown_only_escaped(dashboard, run_folder):
    for page in PAGES:
        app = dashboard(run_folder, page=page)
        for item in [*app.markdown, *app.caption, *app.error, *app.info, *app.subheader]:
            assert "<script>" not in item.value
            assert "![" not in item.value


@pytest.mark.parametrize("page", PAGES)
def test_run_that_was_not_judged_or_measured(dashboard, own_run, page):
    for name in ("verdict.json", "estimates.parquet"):
        (own_run / name).unlink()
    for file in own_run.glob("annotations/*/*"):
        file.unlink()
    app = dashboard(own_run, page=page)
    assert not app.exception
    assert not app.error
    assert page != "overview" or "**Not judged.**" in texts(app)


@pytest.mark.parametrize("page", PAGES)
def test_broken_table_is_a_message(dashboard, own_run, page):
    for file in (own_run / "estimates.parquet", own_run / "requests.parquet"):
        file.write_bytes(b"broken")
    app = dashboard(own_run, page=page)
    assert not app.exception
    assert "cannot be shown" in app.error[0].value


def test_run_without_requests(dashboard, own_run):
    empty = pq.read_table(own_run / "requests.parquet").slice(0, 0)
    pq.write_table(empty, own_run / "requests.parquet")
    for page in PAGES:
        app = dashboard(own_run, page=page)
        assert not app.exception
        assert not app.error or page == "overview"


def test_missing_previews_are_said_and_do_not_break_the_page(dashboard, own_run):
    for file in own_run.glob("thumbs/*/*.webp"):
        file.write_bytes(b"")
    app = dashboard(own_run, page="images")
    assert not app.exception
    assert "preview is missing or damaged" in texts(app)


def test_no_run_and_broken_runs_only(dashboard, tmp_path):
    app = dashboard()
    assert (app.title[0].value, len(app.error), len(app.info)) == ("No run to show", 0, 1)
    app = dashboard(tmp_path / "none")
    assert not app.exception
    assert "does not exist" in app.error[0].value


def test_one_of_several_runs_is_chosen_and_a_broken_one_is_named(dashboard, run_folder, own_run, tmp_path):
    manifest = json.loads((own_run / "manifest.json").read_text())
    (own_run / "manifest.json").write_text(json.dumps(manifest | {"name": "second"}))
    (own_run / "verdict.json").unlink()
    app = dashboard(run_folder, own_run, tmp_path / "none")
    assert list(app.selectbox(key="run").options) == ["fixture", "second"]
    assert any("does not exist" in item.value for item in app.error)
    app.selectbox(key="run").select("second").run()
    assert "**Not judged.**" in texts(app)


def test_runs_of_one_name_are_told_apart(dashboard, run_folder, own_run):
    app = dashboard(run_folder, own_run)
    assert list(app.selectbox(key="run").options) == ["fixture", f"fixture ({own_run.name})"]


def test_environment_names_runs(dashboard, run_folder, monkeypatch):
    app = dashboard()
    monkeypatch.setenv("GENAUDIT_RUNS", os.pathsep.join(["", str(run_folder)]))
    app.run()
    assert app.title[0].value == "Overview"
