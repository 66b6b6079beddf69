"""The page of `report`: its facts are those of `predict` and `limits`, and it is one whole, plain HTML file."""

from __future__ import annotations

import html as entities
import re
import shlex
from html.parser import HTMLParser
from itertools import islice, pairwise

import pytest

import roofsim as package
from roofsim.foundation.units import show
from roofsim.reports.onepage import sections, svg
from roofsim.reports.onepage.pictures import pictures

CASE = "Qwen2.5-0.5B -d orin -p 2k -b 2"
VOID = {"meta", "br"}
INLINE = {"b", "a", "code", "data", "small", "tspan"}


class Node:
    """An element: its tag, its attributes, and what is inside, elements and text in their order."""

    def __init__(self, tag, attributes=()):
        self.tag, self.attributes, self.held = tag, dict(attributes), []

    @property
    def inside(self):
        """The elements right below it."""
        return [each for each in self.held if isinstance(each, Node)]

    def all(self, tag=None, kind=None):
        """Every element below it of a tag and a class, in order."""
        for each in self.inside:
            if (tag in (None, each.tag)) and (kind is None or kind in each.attributes.get("class", "").split()):
                yield each
            yield from each.all(tag, kind)

    def words(self):
        """All text inside it."""
        parts = (
            each if isinstance(each, str) else f"{each.words()}{' ' * (each.tag not in INLINE)}" for each in self.held
        )
        return " ".join("".join(parts).split())


class Parsed(HTMLParser):
    """A page as a tree; elements must nest."""

    def __init__(self, page):
        super().__init__()
        self.root = Node("")
        self.open = [self.root]
        self.feed(page)
        assert self.open == [self.root], "an element is not closed"

    def handle_starttag(self, tag, attributes):
        node = Node(tag, attributes)
        self.open[-1].held.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag, attributes):
        self.open[-1].held.append(Node(tag, attributes))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.open[-1].held.append(data)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The text of a page with another model beside it."""
    from click.testing import CliRunner

    from roofsim.cli import group

    file = tmp_path_factory.mktemp("page") / "page.html"
    line = f"report {CASE} --against mamba2-780m -o {file}"
    with pytest.MonkeyPatch.context() as patched:
        for name in ("crossings", "tornadoes"):  # one of each kind of figure: those of other metrics are drawn alike
            patched.setattr(sections, name, first_of(getattr(sections, name)))
        result = CliRunner().invoke(group, shlex.split(line))
    assert result.exit_code == 0, result.output
    return file.read_text(encoding="utf-8")


def first_of(drawn):
    return lambda g: islice(drawn(g), 1)


@pytest.fixture(scope="module")
def page(written):
    return Parsed(written).root


@pytest.fixture
def plain(monkeypatch):
    """Pages without figures, which take most of the time."""
    for each in ("pictures", "crossings", "tornadoes"):
        monkeypatch.setattr(sections, each, lambda g: ())


def answers(page):
    """What is said to each question: the number, and the words below it."""
    (listed,) = page.all("dl", "answers")
    found = {}
    for each in listed.inside:
        question, *said = each.inside
        number = next((float(x.attributes["value"]) for x in each.all("data")), None)
        found[question.words()] = number, [x.words() for x in said]
    return found


def rows(page, caption):
    """The cells of a table as numbers where there are such, by heading."""
    (table,) = (t for t in page.all("table") if next(t.all("caption")).words() == caption)
    heads = [each.words() for each in next(table.all("thead")).all("th")]
    found = []
    for row in next(table.all("tbody")).all("tr"):
        cells = [each for each in row.inside if each.tag in ("th", "td")]
        values = [next((float(x.attributes["value"]) for x in c.all("data")), c.words()) for c in cells]
        found.append(dict(zip(heads, values, strict=True)))
    return found


def test_the_answers_are_those_of_predict_and_limits(page, data):
    p, limits = data(f"predict {CASE}"), data(f"limits {CASE}")
    found = answers(page)
    for question, name, unit in (
        ("Time to first token", "ttft", "s"), ("Time per output token", "tpot", "s"), ("Energy", "energy", "J"),
    ):  # fmt: skip
        number, said = found[question]
        assert number == p["request"][name]
        low, high = p["intervals"][name]
        assert f"{show(low, unit)} to {show(high, unit)} (95 % interval, calibrated)" in said
    assert found["Tokens per second"][0] == p["request"]["tokens_per_second"]
    assert found["Longest prompt"][0] == limits["limits"]["max_prompt"] == p["limits"]["max_prompt"]
    assert found["Largest batch"][0] == limits["limits"]["max_batch"]
    low, high = limits["intervals"]["max_batch"]
    assert f"{low:,.0f} to {high:,.0f} (95 % interval, calibrated)" in found["Largest batch"][1]
    assert found["What binds a prefill"][1][0].lower() == p["prefill"]["bound"]
    assert found["What binds a decode step"][1][0].lower() == p["decode"]["bound"]
    assert found["What binds memory"][1][0] == p["memory"]["binding"]
    assert found["Does it fit?"][1][0].startswith("Yes")
    assert p["memory"]["fits"] is True


def test_the_tables_hold_the_numbers_of_predict_and_limits(page, data):
    p, limits = data(f"predict {CASE}"), data(f"limits {CASE}")
    for name in ("prefill", "decode"):
        told = [(r["operator"], r["time"], r["kernels"]) for r in rows(page, f"Operators of {name} by device time")]
        known = [(o["operator"], o["time"], o["kernels"]) for o in p[name]["operators"]]
        assert sorted(told) == sorted(known)
    parts = {r["part"]: r["bytes"] for r in rows(page, f"Memory: fits in {usable(page)}")}
    assert parts["weights"] == p["memory"]["weights"]
    assert parts["peak allocated"] == p["memory"]["peak"]
    lengths = rows(page, "Peak memory of a prefill by length of the prompt")
    assert [(r["prompt"], r["peak"]) for r in lengths] == [(m["prompt"], m["peak"]) for m in limits["memory"]]
    (caption,) = (c for c in captions(page) if c.startswith("95 % intervals by calibration"))
    assert {r["figure"]: (r["from"], r["to"]) for r in rows(page, caption)}["TTFT"] == tuple(p["intervals"]["ttft"])


def usable(page):
    return next(c.partition("fits in ")[2] for c in captions(page) if c.startswith("Memory: fits in "))


def captions(page):
    return [each.words() for each in page.all("caption")]


def test_the_lengths_at_which_the_other_model_is_ahead_are_those_of_crossover(page, data):
    found = {r["metric"]: r["B is ahead"] for r in rows(page, "Where B is ahead")}
    for metric, words in (("ttft", "time to first token"), ("memory", "peak memory")):
        (pair,) = data(f"crossover Qwen2.5-0.5B mamba2-780m -d orin -b 2 -m {metric}")["pairs"]
        assert f"{pair['crossings'][-1]['length']:,}" in found[words]


def test_everything_assumed_and_every_source_of_a_number_is_on_it(page, data):
    text = page.words()
    p = data(f"predict {CASE}")
    assert [each for each in p["assumptions"] if " ".join(each.split()) not in text] == []
    for name in ("orin", "Qwen2.5-0.5B", "transformers-4.52-eager"):
        sources = data(f"show {name}")["sources"]
        assert sources
        assert [each for each in sources.values() if " ".join(each.split()) not in text] == []
    assert p["calibration"] in text


def test_every_figure_is_drawn_and_told_in_words(page):
    figures = list(page.all("figure"))
    assert len(figures) == 7, "five of the request, one of the comparison, one of what moves it"
    for each in figures:
        (told,) = each.all("figcaption")
        assert len(told.words()) > 80
        themes = [x.attributes.get("class") for x in each.all("svg")]
        assert themes in ([None], ["light", "dark"])
        for drawn in each.all("svg"):
            assert drawn.attributes["role"] == "img"
            assert drawn.attributes["aria-label"] == next(each.all("h3")).words()
            assert drawn.attributes["aria-describedby"] == told.attributes["id"]
            assert len([x for x in drawn.all("path") if x.attributes.get("d", "").strip()]) > 10
            assert [x.words() for x in drawn.all("text")]


def test_headings_and_tables_can_be_walked(page):
    (head, body) = next(page.all("html")).inside
    assert [each.tag for each in body.inside] == ["main"]
    assert [each.tag for each in head.all("style")] == ["style"]
    levels = [int(each.tag[1]) for each in page.all() if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), "no level is left out"
    for table in page.all("table"):
        assert next(table.all("caption")).words()
        assert all(each.attributes["scope"] == "col" for each in next(table.all("thead")).all("th"))
        assert all(any(each.all("th")) for each in next(table.all("tbody")).all("tr"))


def test_links_lead_to_what_is_there_and_nothing_leads_out(written, page):
    ids = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    links = [each.attributes[name] for each in page.all() for name in ("href", "xlink:href", "src")
             if name in each.attributes]  # fmt: skip
    assert links
    assert {each.removeprefix("#") for each in links} <= set(ids)
    used = re.findall(r"url\(([^)]*)\)", written)
    assert {each.removeprefix("#") for each in used} <= set(ids)
    assert not list(page.all("script"))
    assert "@import" not in written
    assert len(written.encode()) < 1e6


def test_its_colours_have_two_sides_and_paper_the_light_one(written):
    """Each variable that a figure uses is given for light, for dark and for paper, as the names of its colours say."""
    style = written[: written.index("</style>\n</head>")]
    light, dark, paper = (style.split("\n.roofsim{")[1], *re.findall(r"\{\.roofsim\{([^}]*)\}\}", style))
    used = set(re.findall(r"var\((--c[0-9a-f]{12})\)", written))
    assert used
    for name in used:
        assert f"{name}:#{name[3:9]};" in light
        assert f"{name}:#{name[9:]};" in dark
        assert f"{name}:#{name[3:9]};" in paper


def test_the_same_input_gives_the_same_bytes_from_python_too(roofsim, plain):
    made = package.report("Qwen2.5-0.5B", "orin", prompt=2048, batch=2, against="mamba2-780m").html()
    assert made == roofsim(f"report {CASE} --against mamba2-780m")


def test_a_figure_is_drawn_as_the_same_bytes(page, written):
    """The last of the request in the page of the fixture, once more."""
    made = package.report("Qwen2.5-0.5B", "orin", prompt=2048, batch=2)._found
    *_, last = pictures(made)
    assert svg.drawing(last.draw, "figures-4-").texts[0].partition(">")[2] in written


@pytest.mark.parametrize(
    "line",
    [
        "Qwen2.5-0.5B -d orin",
        "Llama-3.1-8B -d raspberry-pi-5 -r llama.cpp-cpu --weights q4_k_m -g 0 --logits last",
        "Qwen2.5-0.5B -d rtx-4090 --set 'device.memory.bandwidth=2x' --set parameters.gemm_efficiency=0.9 --dtype fp16",
        "Qwen2.5-0.5B -d orin --calibration none --host desktop --against mamba2-780m,mamba2-1.3b",
        "Qwen2.5-0.5B -d rtx-3090 -r llama.cpp --transfer --cache q8_0",
    ],
)
def test_the_command_on_it_makes_it_again(roofsim, here, plain, line):
    roofsim(f"report {line} -o first.html")
    first = (here / "first.html").read_text()
    again, data = (entities.unescape(each) for each in re.findall("<pre><code>(.*)</code></pre>", first))
    roofsim(again.removeprefix("roofsim "))
    assert (here / "report.html").read_text() == first
    assert str(Parsed(first).root.words())
    assert roofsim(data.removeprefix("roofsim "))


def test_the_examples_of_the_help_run(roofsim, examples, here, plain):
    for line in examples("report"):
        roofsim(line, "-q")
        Parsed((here / "report.html").read_text())


def test_what_does_not_fit_is_said_first_and_again_among_what_to_mind(roofsim, data, plain):
    line = "Llama-3.1-70B -d h100-sxm"
    page = Parsed(roofsim(f"report {line}")).root
    (misfit, *_) = data(f"predict {line}")["cautions"]
    ((question, (_, (said, *_))), *_) = answers(page).items()
    assert (question, said) == ("Does it fit?", misfit.replace("Does not fit", "No"))
    assert "bad" in next(page.all("dl")).inside[0].attributes["class"]
    (mind,) = (each for each in page.all("section") if each.attributes["aria-labelledby"] == "cautions")
    assert [each.words() for each in mind.all("li")] == [f"{misfit}. Times are as if it did."]


def test_an_answer_that_its_interval_does_not_settle_says_so(roofsim, data, plain):
    line = "Llama-3.1-8B -d raspberry-pi-5 -r llama.cpp-cpu --weights q4_k_m"
    fewest, most = map(int, data(f"limits {line}")["intervals"]["max_batch"])
    assert fewest < most
    doubt = {}
    for batch in (fewest, fewest + 1, most, most + 1):
        (_, said) = answers(Parsed(roofsim(f"report {line} -b {batch}")).root)["Does it fit?"]
        doubt[batch] = said[-1].startswith("not for certain")
    assert doubt == {fewest: False, fewest + 1: True, most: True, most + 1: False}


def test_intervals_without_a_calibration_are_told_to_be_of_the_population(roofsim, plain):
    text = Parsed(roofsim("report Qwen2.5-0.5B -d rtx-3090")).root.words()
    assert "95 % intervals of the prior population" in text
    assert "(95 % interval, prior)" in text
    assert "calibrated)" not in text


def test_intervals_of_a_transfer_say_from_where(roofsim, plain):
    text = Parsed(roofsim("report Qwen2.5-0.5B -d rtx-3090 --transfer")).root.words()
    assert re.search(r"95 % intervals by calibration [^ ]+, transferred from rtx-4090 and widened for that: they", text)


def test_cells_of_long_texts_say_what_heads_them(page):
    """On a phone they stand below each other; short ones are a table there too."""
    for table in page.all("table"):
        cells = [each for row in next(table.all("tbody")).all("tr") for each in row.inside]
        long = max(len(each.words()) for each in cells) > 40
        assert ("words" in table.attributes.get("class", "")) == long, next(table.all("caption")).words()
        assert all(("data-label" in each.attributes) == long for each in cells if each.tag == "td")


def test_energy_that_is_not_published_is_no_number(roofsim, here, plain):
    roofsim("new device mine --from rtx-4090 -q")
    file = here / "mine.yaml"
    file.write_text(re.sub(r"(?m)^( *)tdp: .*$", r"\1# tdp", file.read_text()))
    number, said = answers(Parsed(roofsim("report Qwen2.5-0.5B -d mine.yaml")).root)["Energy"]
    assert number is None
    assert said[0] == "–"


def test_a_device_file_whose_name_holds_a_comma_is_one(roofsim, here, plain):
    roofsim("new device mine --from rtx-4090 -q")
    (here / "mine.yaml").rename(here / "my,own.yaml")
    roofsim("report Qwen2.5-0.5B -d ./my,own.yaml -o page.html")
    assert "-d ./my,own.yaml" in (here / "page.html").read_text()


def test_names_of_files_are_text_and_not_markup(roofsim, here, plain):
    roofsim("new device mine --from rtx-4090 -q")
    file = here / "mine.yaml"
    file.write_text(re.sub("(?m)^name: .*$", "name: <script>alert(1)</script> & co", file.read_text()))
    text = roofsim("report Qwen2.5-0.5B -d mine.yaml")
    page = Parsed(text).root
    assert not list(page.all("script"))
    assert next(page.all("h1")).words() == "Qwen2.5-0.5B on <script>alert(1)</script> & co"
    assert "<script" not in roofsim("report Qwen2.5-0.5B -d mine.yaml -f markdown")


def test_the_switches_of_a_runtime_are_in_words(roofsim, plain):
    page = Parsed(roofsim("report Qwen2.5-0.5B -d rtx-4090")).root
    told = {r["switch"]: r for r in rows(page, "Runtime: transformers 4.52 eager (the SSM-Scope setting)")}
    assert told["cache"]["set to"] == "concat"
    assert told["cache"]["what it decides"].startswith("How a cache grows: laid out beforehand")
    assert told["attention.kv_heads"]["why"] == "repeat_kv copies keys and values to every query head before SDPA."
    assert told["host.mode"]["why"].startswith("Every kernel is launched from Python")
    assert "host.work" not in told, "is as usual"
    ideal = Parsed(roofsim("report Qwen2.5-0.5B -d rtx-4090 -r ideal")).root
    assert {"cache", "attention.mask", "host.mode"} <= {
        r["switch"] for r in rows(ideal, "Runtime: Ideal (every operator fused, no host)")
    }


def test_markdown_says_the_same_without_figures(roofsim, data, here, plain):
    roofsim(f"report {CASE} -o page.md")
    text = (here / "page.md").read_text()
    p = data(f"predict {CASE}")
    low, high = (show(each, "s") for each in p["intervals"]["ttft"])
    assert f"| Time to first token | {show(p['request']['ttft'], 's')} | {low} to {high} (95 % " in text
    assert re.findall("^## (.*)$", text, re.M)[:2] == ["In short", "Cautions"]
    assert "<" not in re.sub("&lt;", "", text)
    assert roofsim(f"report {CASE} -f markdown") == text


def test_markdown_in_a_file_has_its_figures_beside_it(roofsim, here, monkeypatch):
    monkeypatch.setattr(sections, "pictures", lambda g: islice(pictures(g), 3, 4))
    for each in ("crossings", "tornadoes"):
        monkeypatch.setattr(sections, each, lambda g: ())
    roofsim("report mamba-130m -d orin -r ideal -o 'my page.md'")
    text = (here / "my page.md").read_text()
    assert "![Memory over the operators of the prefill](my%20page-timeline.svg)" in text
    assert "Bytes held beside the weights" in text
    assert sorted(path.name for path in here.iterdir()) == ["my page-timeline.svg", "my page.md"]
    assert (here / "my page-timeline.svg").read_text().startswith("<?xml")


def test_a_notebook_shows_it_with_its_style(plain):
    shown = package.report("Qwen2.5-0.5B", "orin")._repr_html_()
    assert shown.startswith("<style>")
    rules = [line for line in shown[: shown.index("</style>")].splitlines() if line.startswith(".")]
    assert rules
    assert all(line.startswith(".roofsim") for line in rules), "nothing else in the notebook changes its look"
    Parsed(shown)


def test_specs_that_are_in_memory_alone_have_no_command(plain):
    made = package.report(package.architecture("mamba-130m"), "orin").markdown()
    assert "no command can ask for it" in made
    assert "roofsim report" not in made


def test_it_is_saved_by_its_ending(tmp_path, plain):
    made = package.report("mamba-130m", "orin", "ideal")
    made.save(tmp_path / "page.htm")
    made.save(tmp_path / "page.md")
    assert (tmp_path / "page.htm").read_text(encoding="utf-8") == made.html()
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == made.markdown()
    with pytest.raises(package.InputError, match=r"path: '.*page.pdf' should end in .html, .htm, .md"):
        made.save(tmp_path / "page.pdf")


def test_of_what_does_not_fit_it_says_what_would(roofsim, data, plain):
    page = Parsed(roofsim("report Llama-3.1-70B -d h100-sxm")).root
    found = data("advise Llama-3.1-70B -d h100-sxm --max-memory 79.2GiB")["rows"]
    told = rows(page, "What fits this device with other software or weights")
    known = [(each["runtime"], each["weights"]) for each in found if each["feasible"]]
    assert known
    assert [(each["runtime"], each["weights"]) for each in told] == known
    never = Parsed(roofsim("report Llama-3.1-70B -d orin")).root
    assert "Nor does it fit this device with other software" in never.words()
    assert "other software" not in Parsed(roofsim("report Qwen2.5-0.5B -d orin")).root.words()


def test_what_bounds_a_pass_says_how_long_the_device_waits_if_it_does(roofsim, data, plain):
    for runtime, waits in (("transformers-4.52-eager", True), ("ideal", False)):
        line = f"Qwen2.5-0.5B -d h100-sxm -r {runtime} -p 1"
        decode = data(f"predict {line}")["decode"]
        (_, (bound, why)) = answers(Parsed(roofsim(f"report {line}")).root)["What binds a decode step"]
        assert bound == "Launch"
        share = f"; the device waits for {decode['idle_time'] / decode['time']:.1%} of the pass"
        assert why.endswith(share) == waits


def test_memory_is_drawn_up_to_a_prompt_that_does_not_fit():
    found = package.report("Llama-3.1-70B", "orin", prompt="16k")._found
    assert found.memory.at[-1].prompt == 16384
    assert found.limits.at[-1].prompt < 16384


@pytest.mark.parametrize(
    ("others", "title"),
    [
        ("mamba-130m", "Against mamba-130m"),
        ("mamba-130m,mamba-790m,Pythia-410M", "Against mamba-130m and mamba-790m and Pythia-410M"),
        ("mamba-130m,mamba-790m,Pythia-410M,mamba2-130m", "Against 4 other models"),
    ],
)
def test_a_heading_names_a_few_models(monkeypatch, plain, others, title):
    monkeypatch.setattr(sections, "_against", lambda g: ())
    made = package.report("Qwen2.5-0.5B", "orin", against=others.split(","))
    assert f"## {title}\n" in made.markdown()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Qwen2.5-0.5B -d orin,rtx-4090 -o a.html", "one model on one device with one of everything"),
        ("Qwen2.5-0.5B mamba2-780m -d orin -o a.html", "--against names models to compare with"),
        ("Qwen2.5-0.5B -d orin -r ideal,vllm -o a.html", "`roofsim compare` puts several"),
        ("Qwen2.5-0.5B -d orin -p 1k,2k -o a.html", "'1k,2k' is not a whole number"),
        ("Qwen2.5-0.5B -d orin --set device.memory.bandwidth=1x,2x -o a.html", "'1x,2x' is not a factor"),
        ("Qwen2.5-0.5B -d orin -o a.pdf", "--output: 'a.pdf' should end in .html, .htm, .md"),
        ("Qwen2.5-0.5B -d orin -o nowhere/a.html", "there is no folder 'nowhere'"),
        ("Qwen2.5-0.5B -d orin --against Qwen2.5-0.5B -o a.html", "against: Qwen2.5-0.5B is the model of the page"),
        ("Qwen2.5-0.5B -d orin --against mamba2-780m --against mamba2-780m -o a.html", "a model is named twice"),
        ("Qwen2.5-0.5B -d orin -r llama.cpp --against Zamba2-1.2B -o a.html", "does not run zamba2"),
        ("Qwen2.5-0.5B -d orin --against mamba2 -o a.html", "no 'mamba2'"),
    ],
)
def test_what_cannot_be_a_page_is_refused(refused, line, said):
    assert said in " ".join(refused(f"report {line}").split())


def test_a_terminal_is_no_place_for_it(refused, monkeypatch):
    import roofsim.cli.report as module

    class Terminal:
        @staticmethod
        def isatty():
            return True

    monkeypatch.setattr(module, "sys", type("Sys", (), {"stdout": Terminal}))
    assert "say where it goes, -o report.html or -o report.md" in refused("report Qwen2.5-0.5B -d orin")


class Fake:
    """A figure whose SVG is given."""

    def __init__(self, text):
        self.text = text

    def findobj(self, match):
        return []

    def savefig(self, stream, **_):
        stream.write(self.text)


def test_letters_with_a_border_stay_text():
    from matplotlib.patheffects import withStroke

    from roofsim.reports.figures.style import look, subplots

    def draw(theme):
        with look(theme):
            figure, _ = subplots(figsize=(2, 2))
        figure.text(0.5, 0.5, "plain")
        figure.text(0.5, 0.5, "bordered").set_path_effects([withStroke(linewidth=2)])
        return figure

    (text,) = svg.drawing(draw, "k-").texts
    texts = {" ".join(each.split()) for each in re.findall("<text[^>]*>(.*?)</text>", text, re.S)}
    assert {"plain", "bordered"} <= texts
    assert re.search(r'<g class="halo">\s*<text[^>]*>bordered', text)


def drawn(light, dark):
    return svg.drawing(lambda theme: Fake({"light": light, "dark": dark}[theme]), "k-")


def test_a_drawing_is_kept_once_with_the_colours_of_both_themes():
    text = (
        '<?xml version="1.0"?>\n<svg width="60pt">\n <metadata>x</metadata>\n'
        ' <defs><style type="text/css">*{{}}</style></defs>\n'
        ' <g id="unused"><path id="m1{0}" d="M 1.23456 0.5" style="fill: #{0}"/></g>\n'
        ' <use xlink:href="#m1{0}"/>'
        "<text style=\"font: 700 9.5px 'DejaVu Sans', 'A', sans-serif; fill: #{1}\">t</text>"
        "<text style=\"font-size: 8px; font-family: 'DejaVu Sans', sans-serif; fill: #{1}\">u</text>\n</svg>\n"
    )
    found = drawn(text.format("ffffff", "1b1f24"), text.format("15181d", "e4e7eb"))
    assert found.colours == {"--cffffff15181d": ("#ffffff", "#15181d"), "--c1b1f24e4e7eb": ("#1b1f24", "#e4e7eb")}
    assert found.width == 80
    (text,) = found.texts
    assert text == (
        '<svg width="60pt">\n<g><path id="k-0" d="M 1.23 0.5" style="fill: var(--cffffff15181d)"/></g>\n'
        '<use xlink:href="#k-0"/><text style="font-size: 9.5px; font-weight: 700; fill: var(--c1b1f24e4e7eb)">t</text>'
        '<text style="font-size: 8px; fill: var(--c1b1f24e4e7eb)">u</text>\n</svg>'
    )


def test_a_drawing_whose_themes_share_different_things_is_kept_twice():
    text = '<svg width="60pt"><path id="a"/>{}<use xlink:href="#a"/></svg>'
    found = drawn(text.format(""), text.format('<g style="fill: #ffffff"/>'))
    assert found.colours == {}
    assert found.texts == (
        '<svg width="60pt"><path id="k-light-0"/><use xlink:href="#k-light-0"/></svg>',
        '<svg width="60pt"><path id="k-dark-0"/><g style="fill: #ffffff"/><use xlink:href="#k-dark-0"/></svg>',
    )
