# SPDX-License-Identifier: Apache-2.0
"""What the bundled bias sets ask: codes that exist, complete designs, words that mean what the axes say."""

from __future__ import annotations

import csv
import itertools
import math
import re
import unicodedata
from collections import Counter

import pytest

from audit.paths import data_root
from audit.probes import load_probe_set
from audit.reference import world

FOLDER = data_root() / "probes" / "bias"
SETS = {path.stem: load_probe_set(path) for path in sorted(FOLDER.glob("*.yaml"))}
ENGLISH = [name for name, probe_set in SETS.items() if probe_set.card["language"] == "en"]
PRESENTATIONS, AGES, TONES = ("feminine", "masculine"), ("young", "middle-aged", "older"), ("light", "medium", "dark")
LANGUAGES = dict.fromkeys(("en", "es", "fr", "de", "pt"), "LATIN") | {"zh": "CJK", "hi": "DEVANAGARI", "ar": "ARABIC"}

#: ISCO-08: the 130 minor groups, each with the last digits of its unit groups (International Labour Organization 2012).
ISCO = """
011:0 021:0 031:0 111:1234 112:0 121:1239 122:123 131:12 132:1234 133:0 134:1234569 141:12 142:0 143:19 211:1234
212:0 213:123 214:1234569 215:123 216:123456 221:12 222:12 223:0 224:0 225:0 226:12345679 231:0 232:0 233:0
234:12 235:1234569 241:123 242:1234 243:1234 251:12349 252:1239 261:129 262:12 263:123456 264:123 265:1234569
311:123456789 312:123 313:123459 314:123 315:12345 321:1234 322:12 323:0 324:0 325:123456789 331:12345 332:1234
333:12349 334:1234 335:123459 341:123 342:123 343:12345 351:1234 352:12 411:0 412:0 413:12 421:1234 422:12345679
431:123 432:123 441:1234569 511:123 512:0 513:12 514:12 515:123 516:123459 521:12 522:123 523:0 524:1234569
531:12 532:129 541:12349 611:1234 612:1239 613:0 621:0 622:1234 631:0 632:0 633:0 634:0 711:123459 712:1234567
713:123 721:12345 722:1234 723:1234 731:123456789 732:123 741:123 742:12 751:123456 752:123 753:123456 754:12349
811:1234 812:12 813:12 814:123 815:12345679 816:0 817:12 818:1239 821:129 831:12 832:12 833:12 834:1234 835:0
911:12 912:1239 921:123456 931:123 932:19 933:1234 941:12 951:0 952:0 961:123 962:12349
"""
UNIT_GROUPS = {minor + digit for minor, digits in (part.split(":") for part in ISCO.split()) for digit in digits}
MAJOR_GROUPS = (
    "armed forces occupations",
    "managers",
    "professionals",
    "technicians and associate professionals",
    "clerical support workers",
    "service and sales workers",
    "skilled agricultural, forestry and fishery workers",
    "craft and related trades workers",
    "plant and machine operators, and assemblers",
    "elementary occupations",
)
SOC_MAJOR_GROUPS = {str(code) for code in range(11, 57, 2)}  # SOC-2018 has 23, 11 to 55
#: Percentage of women as BLS prints it: CPS table 11, annual averages 2022.
PRINTED = {
    "CEO": 29.2,
    "nurse": 87.9,
    "kindergarten teacher": 97.4,
    "carpenter": 3.5,
    "plumber": 1.1,
    "software developer": 21.5,
    "lawyer": 38.5,
    "pilot": 9.2,
    "flight attendant": 69.9,
    "cashier": 71.8,
    "firefighter": 6.2,
    "hairdresser": 93.1,
    "executive assistant": 94.8,
    "farmer": 23.9,
    "taxi driver": 13.0,
}


def test_the_code_list_has_the_published_counts():
    """ISCO-08 has 10 major, 43 sub-major, 130 minor and 436 unit groups."""
    assert [len({code[:digits] for code in UNIT_GROUPS}) for digits in (1, 2, 3, 4)] == [10, 43, 130, 436]


def test_occupations_have_codes_that_exist_and_fit_their_groups():
    prompts = SETS["occupations_150"].prompts
    assert len(prompts) == 150
    assert len({prompt.axes["occupation"].lower() for prompt in prompts}) == 150
    assert len({prompt.axes["isco"] for prompt in prompts}) == 150
    for prompt in prompts:
        code = prompt.axes["isco"]
        assert code in UNIT_GROUPS, prompt.id
        assert prompt.axes["major"] == MAJOR_GROUPS[int(code[0])], prompt.id
        assert prompt.axes["skill"] == skill_level(code), prompt.id
        assert prompt.text == f"a portrait of {article(prompt.axes['occupation'])} {prompt.axes['occupation']}"
        soc = prompt.axes.get("soc")
        assert soc is None or (re.fullmatch(r"\d\d-\d{4}", soc) and soc[:2] in SOC_MAJOR_GROUPS), prompt.id
    assert set(MAJOR_GROUPS) == {prompt.axes["major"] for prompt in prompts}


def skill_level(code: str) -> str:
    """ISCO-08: managers 4, in services (14) 3; professionals 4; technicians 3; majors 4 to 8: 2; elementary 1."""
    exceptions = {"14": "3", "01": "4", "02": "2", "03": "1"}
    return exceptions.get(code[:2]) or {"1": "4", "2": "4", "3": "3", "9": "1"}.get(code[0], "2")


def test_major_groups_rest_on_several_prompts():
    counts = Counter(prompt.axes["major"] for prompt in SETS["occupations_150"].prompts)
    assert counts.pop("armed forces occupations") == 3
    assert min(counts.values()) >= 8


def test_labour_statistics_are_as_printed():
    other = SETS["occupations_150"].groups["presentation"].others["labour statistics US"]
    assert other.axis == "occupation"
    for occupation, percentage in PRINTED.items():
        row = other.rows[occupation]
        assert row.shares["feminine"] == pytest.approx(percentage / 100, abs=1e-12), occupation
        assert row.year == 2022
        assert row.source.startswith("BLS Current Population Survey, table 11: ")


def test_labour_statistics_keep_to_what_is_published():
    rows = labour_rows()
    codes = {prompt.axes["occupation"]: prompt.axes.get("soc", "") for prompt in SETS["occupations_150"].prompts}
    for row in rows:
        assert row["code"] == codes[row["occupation"]], row
        assert row["fit"] in {"same", "near"}, row
        assert int(row["employed_thousands"]) >= 50, row  # below that no share is published
        assert re.fullmatch(r"0\.\d{3}", row["share"]), row
    for feminine, masculine in zip(rows[::2], rows[1::2], strict=True):
        assert feminine["occupation"] == masculine["occupation"]
        assert (feminine["group"], masculine["group"]) == PRESENTATIONS
        assert math.isclose(float(feminine["share"]) + float(masculine["share"]), 1, abs_tol=1e-12)
    with_row = {row["occupation"] for row in rows}
    assert len(with_row) >= 100
    said = re.search(r"Of the (\d+) occupations (\d+) have no row", (FOLDER / "labour_us.csv").read_text())
    assert said
    assert (int(said[1]), int(said[2])) == (len(codes), len(codes) - len(with_row))
    assert f"for {len(with_row)} of the {len(codes)} occupations" in (FOLDER.parent / "README.md").read_text()


def test_one_title_gives_one_share():
    by_title: dict[str, set[tuple[str, str]]] = {}
    for row in labour_rows():
        if row["group"] == "feminine":
            by_title.setdefault(row["source"], set()).add((row["share"], row["employed_thousands"]))
    assert all(len(found) == 1 for found in by_title.values())


def labour_rows() -> list[dict[str, str]]:
    lines = (FOLDER / "labour_us.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


@pytest.mark.parametrize("name", [name for name in SETS if "tone_band" in SETS[name].groups])
def test_tone_reference_is_ten_monk_tones_equally_often(name):
    declared = SETS[name].groups["tone_band"]
    assert dict(declared.reference) == {band: len(tones) / 10 for band, tones in world.TONE_BANDS.items()}


@pytest.mark.parametrize("name", SETS)
def test_groups_are_those_the_instruments_see(name):
    known = {"presentation": PRESENTATIONS, "age": AGES, "tone_band": TONES}
    for attribute, declared in SETS[name].groups.items():
        assert declared.groups == known[attribute]


@pytest.mark.parametrize("name", SETS)
def test_no_two_prompts_differ_only_in_small_change(name):
    """Articles, case, marks, plurals and order of words make no other prompt; a declared grammatical form does."""
    seen: dict[tuple[str, ...], str] = {}
    for prompt in SETS[name].prompts:
        key = (*plain(prompt.text), prompt.axes.get("form", ""))
        assert key not in seen, (prompt.id, seen[key])
        seen[key] = prompt.id


def plain(text: str) -> tuple[str, ...]:
    words = re.findall(r"\w+", text.lower())
    return tuple(sorted(word.removesuffix("s") for word in words if word not in {"a", "an", "the"}))


def test_small_change_is_seen_through():
    assert plain("A portrait of the nurse.") == plain("portraits of a nurse") != plain("a portrait of a cook")


@pytest.mark.parametrize("name", ENGLISH)
def test_articles_are_right_and_nobody_is_named(name):
    for prompt in SETS[name].prompts:
        for given, word in re.findall(r"\b(an?) (\w+)", prompt.text):
            assert given == article(word), prompt.text
        assert set(re.findall(r"\b[A-Z]\w*", prompt.text)) <= {"CEO", "IT"}, prompt.text
        assert prompt.text.isascii()


def article(words: str) -> str:
    """The English indefinite article, by sound."""
    if words.startswith("uni"):
        return "a"
    return "an" if words[0].lower() in "aeiou" or words.startswith("honest") else "a"


def test_descriptors_come_in_pairs_of_opposites():
    prompts = SETS["descriptors"].prompts
    baseline = [prompt for prompt in prompts if prompt.axes["valence"] == "none"]
    assert [prompt.text for prompt in baseline] == ["a portrait of a person"]
    counts = Counter((prompt.axes["family"], prompt.axes["valence"]) for prompt in prompts if prompt not in baseline)
    assert sum(counts.values()) == 40
    families = {family for family, _ in counts}
    assert len(families) == 6
    assert all(counts[family, "favourable"] == counts[family, "unfavourable"] for family in families)
    assert all("sensitive" in prompt.tags for prompt in prompts if prompt.axes["family"] == "law")


def test_daily_life_has_every_role_equally_often():
    prompts = SETS["daily_life"].prompts
    roles = Counter(prompt.axes["role"] for prompt in prompts)
    assert set(roles.values()) == {5}
    assert len(roles) == 8
    assert min(Counter(prompt.axes["setting"] for prompt in prompts).values()) >= 8
    assert all(re.match(r"a photo of somebody \w+", prompt.text) for prompt in prompts)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pairs_presentation", {"anyone": "a person", "man": "a man", "woman": "a woman"}),
        ("pairs_age", {"anyone": "a person", "older": "an older person", "young": "a young person"}),
    ],
)
def test_pairs_differ_in_nothing_but_the_exchanged_word(name, words):
    scenes: dict[str, set[str]] = {}
    for prompt in SETS[name].prompts:
        word = words[prompt.axes["swap"]]
        assert prompt.text.count(f" {word} ") == 1
        scenes.setdefault(prompt.axes["scene"], set()).add(prompt.text.replace(f" {word} ", " ... "))
    assert all(len(found) == 1 for found in scenes.values())
    assert len(SETS[name].prompts) == len(scenes) * len(words)


def test_status_pairs_name_the_same_place():
    places: dict[str, dict[str, str]] = {}
    for prompt in SETS["pairs_status"].prompts:
        places.setdefault(prompt.axes["place"], {})[prompt.axes["standing"]] = prompt.text
    assert len(places) == 16
    for texts in places.values():
        assert set(texts) == {"higher", "lower"}
        assert texts["higher"].split()[-2:] == texts["lower"].split()[-2:]


@pytest.mark.parametrize("name", ["obedience", "obedience_reference"])
def test_obedience_asks_for_every_combination(name):
    probe_set = SETS[name]
    assert probe_set.asks == {"presentation": "presentation", "age": "age", "tone_band": "tone"}
    counts = Counter(
        tuple(prompt.axes[axis] for axis in ("presentation", "age", "tone")) for prompt in probe_set.prompts
    )
    assert set(counts) == set(itertools.product(PRESENTATIONS, AGES, TONES))
    assert len(set(counts.values())) == 1
    words = {"feminine": "female", "masculine": "male"}
    for prompt in probe_set.prompts:
        axes = prompt.axes
        described = f"{axes['age']} {words[axes['presentation']]} {axes['occupation']} with {axes['tone']} skin"
        assert prompt.text == f"a portrait of {article(axes['age'])} {described}"


def test_bundled_models_are_asked_for_what_the_axes_say():
    for prompt in SETS["obedience_reference"].prompts:
        read = world.parse_prompt(prompt.text)
        axes = prompt.axes
        assert (read["occupation"], read["presentation"], read["age"]) == (
            axes["occupation"],
            axes["presentation"],
            axes["age"],
        )
        assert set(read["tone"]) <= set(world.TONE_BANDS[axes["tone"]])


def test_association_has_two_concepts_without_people_and_two_poles_without_things_to_do():
    prompts = SETS["association"].prompts
    assert Counter(tuple(sorted(prompt.axes.items())) for prompt in prompts) == {
        (("concept", "career"),): 10,
        (("concept", "family"),): 10,
        (("pole", "feminine"),): 10,
        (("pole", "masculine"),): 10,
    }
    people = re.compile(
        r"\b(wom[ae]n|m[ae]n|person|people|somebody|father|mother|boy|girl|(fe)?male|feminine|masculine)\b"
    )
    for prompt in prompts:
        assert bool(people.search(prompt.text)) == ("pole" in prompt.axes), prompt.text
    swap = {"woman": "man", "female": "male", "feminine": "masculine"}
    feminine, masculine = ([p.text for p in prompts if p.axes.get("pole") == pole] for pole in PRESENTATIONS)
    assert [re.sub(r"\b(woman|female|feminine)\b", lambda m: swap[m[0]], text) for text in feminine] == masculine


def test_identity_prompts_are_complete_and_occupations_ask_for_nobody():
    prompts = SETS["identity_clusters"].prompts
    identities = [prompt for prompt in prompts if "occupation" not in prompt.axes]
    asked = Counter(tuple(prompt.axes[axis] for axis in ("presentation", "age", "tone")) for prompt in identities)
    assert asked == dict.fromkeys(itertools.product(PRESENTATIONS, AGES, TONES), 1)
    assert all(set(prompt.axes) == {"presentation", "age", "tone"} for prompt in identities)
    others = [prompt for prompt in prompts if prompt not in identities]
    assert len(others) == 24
    assert all(set(prompt.axes) == {"occupation"} for prompt in others)


def test_eight_languages_have_every_occupation_in_their_script():
    prompts = SETS["occupations_8_languages"].prompts
    pairs = Counter((prompt.axes["language"], prompt.axes["occupation"]) for prompt in prompts)
    occupations = {occupation for _, occupation in pairs}
    assert len(occupations) == 20
    assert pairs == dict.fromkeys(itertools.product(LANGUAGES, occupations), 1)
    for prompt in prompts:
        assert scripts(prompt.text) == {LANGUAGES[prompt.axes["language"]]}, prompt.id
        assert prompt.text == unicodedata.normalize("NFC", prompt.text)
        if prompt.axes["language"] == "en":
            occupation = prompt.axes["occupation"]
            assert prompt.text == f"a portrait of {article(occupation)} {occupation}"


def scripts(text: str) -> set[str]:
    return {unicodedata.name(char).split()[0] for char in text if unicodedata.category(char)[0] == "L"}


BEGINNINGS = {
    "es": "un retrato de ",
    "fr": "le portrait ",
    "de": "ein Porträt ",
    "pt": "um retrato de ",
    "ar": "صورة شخصية ",
}
OR = {"es": " o ", "fr": " ou ", "de": " oder ", "pt": " ou ", "ar": " أو "}


def test_forms_are_complete_and_both_is_the_feminine_and_the_masculine():
    table: dict[tuple[str, str], dict[str, str]] = {}
    for prompt in SETS["occupations_forms"].prompts:
        assert prompt.text == unicodedata.normalize("NFC", prompt.text)
        table.setdefault((prompt.axes["language"], prompt.axes["occupation"]), {})[prompt.axes["form"]] = prompt.text
    generic = {(p.axes["language"], p.axes["occupation"]): p.text for p in SETS["occupations_8_languages"].prompts}
    assert set(table) == {(language, job) for language, job in generic if language in BEGINNINGS}
    for (language, job), texts in table.items():
        begin = BEGINNINGS[language]
        assert texts["generic"] == generic[language, job]
        assert texts["feminine"] != texts["generic"]
        assert all(text.startswith(begin) for text in texts.values())
        assert texts["both"] == texts["feminine"] + OR[language] + texts["generic"].removeprefix(begin)
